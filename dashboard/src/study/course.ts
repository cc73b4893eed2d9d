/** How far a study has come, for its bars. */
import type { StudyProgress } from 'mimamba-client';

/** Seconds left in the phase now, `passed` seconds after the progress was true; null without end. */
export function secondsLeft({ phase, left }: StudyProgress, passed: number): number | null {
  // Only good electrodes count down before the first step.
  return left === null ? null : Math.max(0, left - (phase === 'contact' ? 0 : passed));
}

/** Part of all steps that is done, in seconds. */
export function wholeStudy(
  { phase, planned, later, left }: StudyProgress,
  now: number | null,
): { done: number; of: number } {
  if (phase === 'contact') return { done: 0, of: planned };
  const open = left === null ? UNKNOWN : (now ?? left);
  return { done: Math.min(planned, Math.max(0, planned - later - open)), of: planned };
}

/** Seconds that a step without an end of its own counts for. */
export const UNKNOWN = 10;

/** A step's cue is played up to so many seconds after its start: not again after another view. */
export const FRESH_SECONDS = 1;

/** "Electrodes", "Step 3 of 12". */
export const placeText = ({ phase, step, of }: StudyProgress): string =>
  phase === 'contact' ? 'Electrodes' : `Step ${step} of ${of}`;
