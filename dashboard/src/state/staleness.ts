import type { Connection } from '../connection/client';
import { type Progress, progressOf } from './progress';
import type { Outputs, Prediction } from '../connection/protocol';
import type { LinkState, View } from './session.svelte';
import { wholeDuration } from '../text/wording';

/** Seconds after which what is shown is called old. */
export const OLD = 2;

/**
 * Whether the signal that is shown is older than anybody means it to be: a recording that is paused
 * stands still on purpose, and what has ended says so.
 */
export const stale = ({ ended, link }: View, age: number | null): boolean =>
  age !== null && age > OLD && !ended && link.state !== 'paused';

/** Seconds of signal since a measurement after which it is no longer shown. */
const PATIENCE = 1;

/** What was last measured of the signal, while it still tells of the newest. */
export function current<Measured extends { index: number }>(
  { info, ended, latestIndex }: View,
  measured: Measured | null,
  age: number | null,
): Measured | null {
  if (!measured || !info || ended || age === null || age > OLD) return null;
  return (latestIndex - measured.index) / info.sfreq > PATIENCE ? null : measured;
}

/** Probabilities that hold now, or why there are none. */
export type Verdict =
  | { shown: true; outputs: Outputs }
  | { shown: false; title: string; reason: string; progress?: Progress };

const none = (title: string, reason: string, progress?: Progress): Verdict => ({
  shown: false,
  title,
  reason,
  ...(progress ? { progress } : {}),
});

/** What may be said of a session now; `age` as of Dashboard.age, `lsl` the LSL clock's time. */
export function verdict(
  view: View,
  connection: Connection,
  age: number | null,
  lsl: number | null = null,
): Verdict {
  const { prediction, link } = view;
  if (connection.phase !== 'connected')
    return none('Not connected', 'This page has no connection to the service.');
  if (view.opening) return none('Opening', 'The source is being opened.');
  if (view.ended) return none('Session ended', view.endReason ?? 'No more samples will come.');
  if (link.state === 'lost' || link.state === 'retrying') return none('Link lost', loss(link, lsl));
  if (link.state === 'paused') return none('Paused', `The recording is paused ${link.detail}.`);
  if (age !== null && age > OLD)
    return none('No new samples', `The last one came ${Math.round(age)} s ago.`);
  if (view.info && !view.model) return none('No model', 'This session shows only the signal.');
  if (!prediction) return none('No prediction yet', 'The first one comes within a few seconds.');
  if (prediction.status === 'warming_up') return warmingUp(prediction);
  if (prediction.status === 'poor_signal')
    return none('Poor signal', prediction.reason ?? 'The signal is not good enough to judge.');
  const behind = view.info ? (view.latestIndex - prediction.index) / view.info.sfreq : 0;
  if (behind > OLD + (view.model?.hop ?? 0))
    return none(
      'Waiting for a prediction',
      `The last one is ${Math.round(behind)} s behind the signal.`,
    );
  if (!prediction.outputs) return none('No prediction', 'The model said nothing.');
  return { shown: true, outputs: prediction.outputs };
}

/** For how long, and what the link says of it. */
function loss({ since, detail }: LinkState, lsl: number | null): string {
  const words = detail || 'The headset sends no samples.';
  return lsl === null || since === null ? words : `For ${wholeDuration(lsl - since)}: ${words}`;
}

function warmingUp(prediction: Prediction): Verdict {
  const progress = progressOf(prediction);
  if (!progress)
    return none('Warming up', prediction.reason ?? 'The model has not heard enough yet.');
  const far = `${progress.done} of ${progress.of} s`;
  if (progress.kind === 'model') return none('Warming up', `The model has heard ${far}.`, progress);
  const how = 'Sit still, look at one point.';
  return none('Taking the baseline', `${far} of rest. ${how}`, progress);
}
