/** Troubles of a calibration or a study, in words. */
import { isStale } from '../state/staleness';
import type { SessionSnapshot } from '../state/session.svelte';

/**
 * The reason why nothing useful is measured now; null if there is none.
 *
 * `meanwhile`: a sentence on what becomes of it. `age`: that of the newest sample, seconds.
 */
export function troubleText(
  snapshot: SessionSnapshot,
  connected: boolean,
  age: number | null,
  meanwhile: string,
): string | null {
  const { link, ended } = snapshot;
  if (!connected) return 'No connection to the service. The page reconnects by itself.';
  if (ended) return 'The session has ended.';
  if (link.state === 'lost' || link.state === 'retrying')
    return `The connection to the headset is lost. ${meanwhile}`;
  return isStale(snapshot, age) ? `No new samples come from the headset. ${meanwhile}` : null;
}
