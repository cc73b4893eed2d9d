import type { LabelSet } from 'mimamba-client';
import { percent } from './wording';

/** A prediction set in words: what the model can tell, and how often its sets were right. */
export function describeSet({ labels, coverage, labelled }: LabelSet, all: string[]): string {
  const right =
    coverage === null ? '' : ` Right in ${percent(coverage)} of the last ${labelled} known.`;
  if (labels.length === 0 || labels.length === all.length) return `Too uncertain to tell.${right}`;
  return `In nine of ten cases it is ${labels.join(' or ')}.${right}`;
}
