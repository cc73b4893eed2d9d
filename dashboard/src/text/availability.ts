import type { Connection, PredictionMessage } from 'mimamba-client';
import { type Progress, warmUpProgress } from '../state/progress';
import type { LinkState, SessionSnapshot } from '../state/session.svelte';
import { STALE_SECONDS } from '../state/staleness';
import { sentence, wholeDuration } from './wording';

/**
 * Current probabilities, or the reason why there are none.
 *
 * `current`: the newest prediction belongs to the newest signal, though it has no probabilities.
 */
export type Availability =
  { available: true; outputs: NonNullable<PredictionMessage['outputs']> } | Unavailable;

export interface Unavailable {
  available: false;
  title: string;
  reason: string;
  progress?: Progress;
  current?: true;
}

const none = (title: string, reason: string, progress?: Progress): Unavailable => ({
  available: false,
  title,
  reason,
  ...(progress ? { progress } : {}),
});

/**
 * Probabilities that may be shown now, or the reason why there are none.
 *
 * `age`: age of the newest sample, seconds. `lsl`: LSL time now. Both are null if unknown.
 */
export function availability(
  snapshot: SessionSnapshot,
  connection: Connection,
  age: number | null,
  lsl: number | null = null,
): Availability {
  const { prediction, link, info, model } = snapshot;
  if (connection.phase !== 'connected')
    return none('Not connected', 'The page has no connection to the service.');
  if (snapshot.opening) return none('Opening', 'Connecting to the source.');
  if (snapshot.ended)
    return none('Session ended', sentence(snapshot.endReason ?? 'the source has ended'));
  if (link.state === 'lost' || link.state === 'retrying')
    return none('Connection lost', lossReason(link, lsl));
  if (link.state === 'paused') return none('Paused', `Playback is paused ${link.detail}.`);
  if (age !== null && age > STALE_SECONDS)
    return none('No new samples', `The newest sample is ${Math.round(age)} s old.`);
  if (info && !model) return none('No model', 'This session shows the signal only.');
  if (!prediction) return none('No prediction yet', 'The first one takes a few seconds.');
  if (prediction.status === 'warming_up') return { ...warmingUp(prediction), current: true };
  if (prediction.status === 'poor_signal')
    return {
      ...none('Poor signal', sentence(prediction.reason ?? 'too poor for a prediction')),
      current: true,
    };
  const behind = info ? (snapshot.latestIndex - prediction.index) / info.sfreq : 0;
  if (behind > STALE_SECONDS + (model?.hop ?? 0))
    return none(
      'Waiting for a prediction',
      `The last one is ${Math.round(behind)} s behind the signal.`,
    );
  if (!prediction.outputs) return none('No prediction', 'The model has no output.');
  return { available: true, outputs: prediction.outputs };
}

function lossReason({ since, detail }: LinkState, lsl: number | null): string {
  const reason = detail || 'The headset sends no samples.';
  return lsl === null || since === null
    ? sentence(reason)
    : `For ${wholeDuration(lsl - since)}. ${sentence(reason)}`;
}

function warmingUp(prediction: PredictionMessage): Unavailable {
  const progress = warmUpProgress(prediction);
  if (!progress)
    return none('Warming up', sentence(prediction.reason ?? 'the model needs more signal'));
  const done = `${progress.done} of ${progress.of} s`;
  if (progress.why)
    return none('Warming up after a gap', `${sentence(progress.why)} ${done} of signal.`, progress);
  if (progress.kind === 'model') return none('Warming up', `${done} of signal.`, progress);
  return none('Taking a baseline', `${done}. Sit still and look at one point.`, progress);
}

/** Text for screen readers, read when it changes: states only, no running numbers. */
export function announcement(
  connection: Connection,
  snapshot: SessionSnapshot | null,
  availability: Availability | null,
): string {
  if (connection.phase === 'locked') return 'Log in to continue.';
  if (connection.phase !== 'connected') return 'Not connected to the service.';
  if (!snapshot || !availability) return 'Connected. No open session.';
  if (availability.available) return 'Connected. Predictions are up to date.';
  return `Connected. ${availability.title}.`;
}
