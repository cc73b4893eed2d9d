import type { Prediction } from '../connection/protocol';

/** How far something has come, seconds. */
export interface Progress {
  /** What for: the model's memory, or its person's rest. */
  kind: 'model' | 'baseline';
  done: number;
  of: number;
}

/** "warming up: 1.5 of 4.0 s" and "baseline 34 of 60 s", as the service says them. */
const SAID = /^(warming up:|baseline) ([\d.]+) of ([\d.]+) s$/;

/** What a prediction that warms up says of how far it has come; null where it says nothing. */
export function progressOf({ status, reason }: Pick<Prediction, 'status' | 'reason'>) {
  const said = status === 'warming_up' ? SAID.exec(reason ?? '') : null;
  if (!said) return null;
  const kind = said[1] === 'baseline' ? 'baseline' : 'model';
  return { kind, done: Number(said[2]), of: Number(said[3]) } satisfies Progress;
}
