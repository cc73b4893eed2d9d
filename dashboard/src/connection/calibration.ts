/** Types of calibrations, heads and ratings; field names are those of the service. */

/** Phases in order; `stopped` and `failed` may follow any of them. */
export type Phase =
  'rest' | 'cue' | 'block' | 'rating' | 'pause' | 'judging' | 'done' | 'stopped' | 'failed';

/** Where a calibration is now. */
export interface CalibrationProgress {
  phase: Phase;
  /** Number of the block that is cued, going on or to be rated, from 1; 0 during rest. */
  block: number;
  of: number;
  /** State of the block, in the phases cue, block and rating only. */
  kind: string | null;
  /** Seconds left in this phase; null if it has no end of its own. */
  left: number | null;
  total: number | null;
  rating_due: boolean;
  /** Reason for which this block is done again. */
  repeat: 'signal' | null;
  /** Pairs beyond the planned ones. */
  extra: number;
  status: 'ok' | 'warming_up' | 'poor_signal';
  reason: string | null;
  /** Number to count down from, and the number to take away; null for other blocks. */
  number: number | null;
  step: number | null;
}

export interface AccuracyTest {
  accuracy: number;
  interval: [number, number];
  p: number;
}

export type VerdictName =
  'reliable' | 'no difference' | 'muscle' | 'drift' | 'too few' | 'model fits';
export type Served = 'yes' | 'this session' | 'no';

export interface Verdict {
  name: VerdictName;
  served: Served;
  /** The verdict in words. */
  sentence: string;
  accuracy: number | null;
  interval: [number, number] | null;
  p: number | null;
  attempts: number;
  tests: number;
  n_blocks: [number, number];
  doubtful: number;
  /** Share of the blocks' time with poor signal. */
  poor: number;
  reason: string | null;
  /** Test of the shipped model's own output. */
  model: AccuracyTest | null;
  /** Test of 20 to 40 Hz alone. */
  muscle: AccuracyTest | null;
  /** Test of the first against the second half. */
  time: AccuracyTest | null;
}

/** A person's own output, made by a calibration. */
export interface Head {
  id: string;
  person: string;
  contrast: string;
  kinds: [string, string];
  dimension: 'valence' | 'arousal' | null;
  /** Day of the calibration, as 2026-11-29. */
  day: string;
  verdict: VerdictName;
  served: Served;
  sentence: string;
  accuracy: number | null;
  interval: [number, number] | null;
  p: number | null;
  attempts: number;
  /** False for one of an earlier day that was not confirmed today. */
  confirmed: boolean;
  /** Check blocks and ratings of today that were right, and all of them. */
  right: number;
  checked: number;
  half_life: number;
  /** Mean delay of the output, seconds. */
  delay: number;
  /** False if it may not be used. */
  usable: boolean;
  /** Confirmed days whose blocks joined its training. */
  days: string[];
  /** Number of ratings at any time that joined it. */
  ratings: number;
}

/** Personal output in a prediction. */
export interface Personal {
  index: number;
  status: 'ok' | 'warming_up' | 'poor_signal';
  reason: string | null;
  probabilities: Record<string, number> | null;
  /** Null with status ok means unsure. */
  state: string | null;
}
