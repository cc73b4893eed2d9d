import type { Connection } from '../connection/client';
import type { FoundStream, Headset } from '../requests/catalog';
import type { ChannelQuality } from '../connection/protocol';
import type { LinkState, View } from '../state/session.svelte';
import type { Verdict } from '../state/staleness';

/** "69 %": whole per cent, as the bars show. */
export const percent = (probability: number): string => `${Math.round(probability * 100)} %`;

/** "20 %, mains hum"; a dash where nothing is measured. */
export const contactWords = (quality: ChannelQuality | undefined): string =>
  quality ? `${percent(quality.score)}, ${quality.reason ?? 'good'}` : '–';

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** "0.3 s", "12 s", "2 min", "3 h". */
export function duration(seconds: number): string {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** "1:03", "2:00:03": a place in a recording. */
export function clockTime(seconds: number): string {
  const whole = Math.floor(seconds + 1e-6);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = String(whole % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

export const plural = (count: number, one: string, many: string): string =>
  `${count} ${count === 1 ? one : many}`;

/** "1 headset and 2 LSL streams found."; one that may be several boards is one headset. */
export function foundWords(headsets: Headset[], streams: FoundStream[]): string {
  const count = new Set(headsets.map(({ name }) => name)).size;
  const found = [
    ...(count ? [plural(count, 'headset', 'headsets')] : []),
    ...(streams.length ? [plural(streams.length, 'LSL stream', 'LSL streams')] : []),
  ];
  return found.length ? `${found.join(' and ')} found.` : 'No headset and no LSL stream was found.';
}

/** "Muse 2, signal −52 dBm", what stands beside a headset's name. */
export const headsetWords = ({ title, rssi, way }: Headset): string =>
  `${title}, ${rssi === null ? way : `signal −${Math.abs(rssi)}\u00a0dBm`}`;

/** `time` is the page's, seconds. */
export function connectionWords(connection: Connection, time: number): string {
  if (connection.phase === 'connected') return 'Connected';
  if (connection.phase === 'connecting') return 'Connecting …';
  if (connection.phase === 'locked') return 'Not logged in';
  return `Reconnecting in ${Math.max(0, Math.ceil(connection.until - time))} s`;
}

/** `lsl` is the LSL clock's time now, null where unknown. */
export function linkWords(link: LinkState, lsl: number | null): string {
  if (link.state === 'connected') return 'Link connected';
  if (link.state === 'playing') return 'Playing';
  if (link.state === 'paused') return 'Paused';
  if (link.state === 'unknown') return 'Link not known yet';
  const lost =
    lsl !== null && link.since !== null
      ? `Link lost for ${wholeDuration(lsl - link.since)}`
      : 'Link lost';
  return link.state === 'retrying' ? `${lost}, trying again` : lost;
}

/** One session in a few words, for its tab. */
export function sessionWords(view: View, lsl: number | null): string {
  if (view.opening) return 'Opening';
  return view.ended ? 'Ended' : linkWords(view.link, lsl);
}

/** As `duration`, but without tenths that would run. */
export const wholeDuration = (seconds: number): string =>
  seconds < 120 ? `${Math.max(0, Math.round(seconds))} s` : duration(seconds);

/** What a screen reader hears when it changes: states, and no numbers that run. */
export function announcement(
  connection: Connection,
  view: View | null,
  said: Verdict | null,
): string {
  if (connection.phase === 'locked') return 'The service asks for a token.';
  if (connection.phase !== 'connected') return 'Not connected to the service.';
  if (!view || !said) return 'Connected. No session is open.';
  if (said.shown) return 'Connected. Predictions are current.';
  return `Connected. ${said.title}.`;
}
