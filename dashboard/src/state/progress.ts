import type { PredictionMessage, StudyProgress } from 'mimamba-client';

/** Progress of the model's warm-up or of a baseline, seconds. */
export interface Progress {
  kind: 'model' | 'baseline';
  done: number;
  of: number;
  /** Why the model starts again: "started again 1.2 s ago: 0.3 s lost"; absent at the start. */
  why?: string;
}

/** "warming up: 1.5 of 4.0 s; started again …" and "baseline 34 of 60 s", the service's reasons. */
const REASON = /^(warming up:|baseline) ([\d.]+) of ([\d.]+) s(?:; (.+))?$/;

/** Progress in a prediction's reason; null if there is none. */
export function warmUpProgress({
  status,
  reason,
}: Pick<PredictionMessage, 'status' | 'reason'>): Progress | null {
  const match = status === 'warming_up' ? REASON.exec(reason ?? '') : null;
  if (!match) return null;
  const kind = match[1] === 'baseline' ? 'baseline' : 'model';
  const why = match[4] ? { why: match[4] } : {};
  return { kind, done: Number(match[2]), of: Number(match[3]), ...why };
}

/** True while a study goes on. */
export const isGoingOn = ({ phase }: Pick<StudyProgress, 'phase'>): boolean =>
  phase === 'contact' || phase === 'step';
