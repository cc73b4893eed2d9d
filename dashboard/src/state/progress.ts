import type { Prediction } from '../connection/protocol';

/** Progress of the model's warm-up or of a baseline, seconds. */
export interface Progress {
  kind: 'model' | 'baseline';
  done: number;
  of: number;
}

/** "warming up: 1.5 of 4.0 s" and "baseline 34 of 60 s", reasons sent by the service. */
const REASON = /^(warming up:|baseline) ([\d.]+) of ([\d.]+) s$/;

/** Progress in a prediction's reason; null if there is none. */
export function warmUpProgress({
  status,
  reason,
}: Pick<Prediction, 'status' | 'reason'>): Progress | null {
  const match = status === 'warming_up' ? REASON.exec(reason ?? '') : null;
  if (!match) return null;
  const kind = match[1] === 'baseline' ? 'baseline' : 'model';
  return { kind, done: Number(match[2]), of: Number(match[3]) };
}
