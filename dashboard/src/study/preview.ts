/** The progress of a study that only this page shows. */
import type { StudyProgress } from 'mimamba-client';
import type { Protocol } from '../requests/studies';
import { UNKNOWN } from './course';

/** Text of a step with a rating that has none, as the service has it. */
const QUESTION = 'How do you feel right now?';

/** The progress at the start of a step, from 1. */
export function previewProgress(title: string, protocol: Protocol, number: number): StudyProgress {
  const lengths = protocol.step.map(({ seconds }) => Number(seconds ?? UNKNOWN));
  const sum = (from: number): number => lengths.slice(from).reduce((a, b) => a + b, 0);
  const step = protocol.step[number - 1]!;
  const total = step.seconds === undefined ? null : Number(step.seconds);
  return {
    study: '',
    title,
    phase: 'step',
    step: number,
    of: protocol.step.length,
    text: step.text ?? QUESTION,
    sound: step.sound ?? null,
    speak: step.speak ?? null,
    rating: step.rating ?? false,
    left: total,
    total,
    planned: sum(0),
    later: sum(number),
    recording: null,
    reason: null,
  };
}
