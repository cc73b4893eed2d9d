import type { QualityMessage } from 'mimamba-client';
import type { SessionSnapshot } from '../state/session.svelte';
import type { Availability } from '../text/availability';
import { capital, contactWord, percent, sentence } from '../text/wording';

/** The one big state. `share`: its probability; `reason`: why there is no state. */
export interface Reading {
  output: string;
  state: string | null;
  share: string | null;
  reason: string | null;
}

/** Name by which an address asks for the person's own output. */
const PERSONAL = 'personal';

/** State of an output now. Default: the person's own output, else the model's first. */
export function readState(
  snapshot: SessionSnapshot,
  availability: Availability,
  wanted: string | null,
): Reading {
  const outputs = Object.keys(snapshot.outputs ?? {});
  const personal = snapshot.head !== null && (wanted === null || wanted === PERSONAL);
  const output = personal ? PERSONAL : (wanted ?? outputs[0] ?? '');
  const nothing = { output: capital(output), state: null, share: null };
  if (!personal && wanted !== null && snapshot.outputs && !outputs.includes(wanted)) {
    const known = [...outputs, ...(snapshot.head ? [PERSONAL] : [])].join(' or output=');
    return { ...nothing, reason: `Expected output=${known}, but found “${wanted}”.` };
  }
  if (!availability.available) return { ...nothing, reason: `${availability.title}.` };
  if (personal) return { ...nothing, ...readPersonal(snapshot) };
  const shares = Object.entries(availability.outputs[output] ?? {});
  if (!shares.length) return { ...nothing, reason: 'No prediction.' };
  const [label, share] = shares.reduce((a, b) => (b[1] > a[1] ? b : a));
  return { output: capital(output), state: label, share: percent(share), reason: null };
}

function readPersonal({ prediction }: SessionSnapshot): Omit<Reading, 'output'> {
  const reading = prediction?.personal;
  if (!reading?.probabilities)
    return { state: null, share: null, reason: sentence(reading?.reason ?? 'no output yet') };
  if (reading.state === null) return { state: 'unsure', share: null, reason: null };
  const share = percent(reading.probabilities[reading.state] ?? 0);
  return { state: reading.state, share, reason: null };
}

/** "Signal good", or the worst electrode: "TP9: mains hum". Empty without a measurement. */
export function readQuality(quality: QualityMessage | null, used: readonly string[]): string {
  const channels = Object.entries(quality?.channels ?? {}).filter(
    ([name]) => used.length === 0 || used.includes(name),
  );
  if (!channels.length) return '';
  const [name, worst] = channels.reduce((a, b) => (b[1].score < a[1].score ? b : a));
  return worst.reason === null ? 'Signal good' : `${name}: ${contactWord(worst)}`;
}
