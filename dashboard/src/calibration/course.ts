/** How far a calibration has come, for its two bars. */
import type { CalibrationProgress } from 'mimamba-client';
import type { Calibration, Plan } from '../requests/calibration';

/** Seconds that a person takes for a rating, about. */
const RATING_SECONDS = 10;

type Phase = CalibrationProgress['phase'];

/** Phases in which a calibration goes on. */
const RUNNING: readonly Phase[] = ['rest', 'cue', 'block', 'rating', 'pause', 'judging'];
export const isRunning = ({ phase }: Pick<CalibrationProgress, 'phase'>): boolean =>
  RUNNING.includes(phase);

/** Seconds of a whole plan with this many blocks, ratings included. */
export const planSeconds = (plan: Plan, blocks = 2 * plan.pairs): number =>
  plan.rest + blocks * (plan.cue + plan.seconds + RATING_SECONDS + plan.pause);

/** Minutes that a plan takes, with two for the electrodes. */
export const planMinutes = (plan: Plan): number => Math.ceil(planSeconds(plan) / 60) + 1;

export interface Course {
  done: number;
  of: number;
}

/** Part of a calibration that is done, in seconds of its plan. */
export function wholeCourse(plan: Plan, progress: CalibrationProgress): Course {
  const { phase, block, of, total, left } = progress;
  const whole = planSeconds(plan, of);
  if (phase === 'judging' || phase === 'done') return { done: whole, of: whole };
  const within = total === null || left === null ? 0 : total - left;
  if (phase === 'rest') return { done: Math.min(within, plan.rest), of: whole };
  const each = (whole - plan.rest) / of;
  const before: Partial<Record<Phase, number>> = {
    cue: 0,
    block: plan.cue,
    rating: plan.cue + plan.seconds,
    pause: plan.cue + plan.seconds + RATING_SECONDS,
  };
  const done = plan.rest + Math.max(0, block - 1) * each + (before[phase] ?? 0) + within;
  return { done: Math.min(done, whole), of: whole };
}

/**
 * Seconds left in the phase now, `passed` seconds after the service said how many; null without end.
 *
 * At rest only good signal counts, so there the service's own number stays as it is.
 */
export function secondsLeft({ left, phase }: CalibrationProgress, passed: number): number | null {
  if (left === null) return null;
  return Math.max(0, left - (phase === 'rest' ? 0 : Math.min(passed, 1)));
}

/** "Rest", "Block 3 of 12". */
export const placeText = ({ phase, block, of }: CalibrationProgress): string =>
  phase === 'rest' || block === 0 ? 'Rest' : `Block ${block} of ${of}`;

/** Newest progress of a calibration: what the stream sent, unless it is of another calibration. */
export function newestProgress<Step extends { id: string; progress: CalibrationProgress }>(
  { id, progress }: Pick<Calibration, 'id' | 'progress'>,
  step: Step | null,
): CalibrationProgress {
  return step?.id === id ? step.progress : progress;
}
