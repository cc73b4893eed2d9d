/** Numbers and states as text. */
import type { ChannelQuality, Connection, HeartMessage } from 'mimamba-client';
import { type FoundStream, type Headset, PSEUDONYM, type Person } from '../requests/catalog';
import type { Recording } from '../requests/recordings';
import type { LinkState, SessionSnapshot } from '../state/session.svelte';

/** "69 %". */
export const percent = (probability: number): string => `${Math.round(probability * 100)} %`;

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Text as a sentence: with a capital letter, and a period if it has no end mark. */
export const sentence = (text: string): string => capital(text) + (/[.!?…]$/.test(text) ? '' : '.');

export const plural = (count: number, one: string, many: string): string =>
  `${count} ${count === 1 ? one : many}`;

/** "0.3 s", "12 s", "2 min", "3 h". */
export function duration(seconds: number): string {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** Like `duration`, but without tenths: they would change all the time. */
export const wholeDuration = (seconds: number): string =>
  seconds < 120 ? `${Math.max(0, Math.round(seconds))} s` : duration(seconds);

/** Position in a recording: "1:03", "2:00:03". */
export function clockTime(seconds: number): string {
  const whole = Math.floor(seconds + 1e-6);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = String(whole % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

/** Program that a marker comes from; the page's own markers are set over the API. */
export const sourceText = (source: string): string => source.replace(/^api(?=$|, )/, 'by hand');

/** "12 kB", "3.4 MB". */
export function fileSize(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** "20 %, mains hum"; a dash without a measurement. */
export const qualityText = (quality: ChannelQuality | undefined): string =>
  quality ? `${percent(quality.score)}, ${contactWord(quality)}` : '–';

/** One word or two on an electrode's contact: "good", "flat", "mains hum"; a dash without one. */
export const contactWord = (quality: ChannelQuality | undefined): string =>
  quality ? (quality.reason ?? 'good') : '–';

/** "68 per minute, 95 % sure"; a dash and the reason without a rate. */
export const heartText = (heart: HeartMessage): string =>
  heart.rate === null
    ? `–, ${heart.reason ?? 'unknown'}`
    : `${Math.round(heart.rate)} per minute, ${percent(heart.confidence)} sure`;

/** "1 headset and 2 LSL streams found." One headset may be listed as several boards. */
export function foundText(headsets: Headset[], streams: FoundStream[]): string {
  const count = new Set(headsets.map(({ name }) => name)).size;
  const found = [
    ...(count ? [plural(count, 'headset', 'headsets')] : []),
    ...(streams.length ? [plural(streams.length, 'LSL stream', 'LSL streams')] : []),
  ];
  return found.length ? `${found.join(' and ')} found.` : 'No headsets or LSL streams found.';
}

const PARAMETERS: Record<string, string> = {
  serial_port: 'serial port',
  mac_address: 'Bluetooth address',
  ip_address: 'IP address',
  ip_port: 'port',
};

/** Name of a source's parameter: "serial port". */
export const parameterText = (name: string): string =>
  PARAMETERS[name] ?? name.replaceAll('_', ' ');

/** Example for a source's parameter; empty if there is none. */
export const parameterExample = (name: string): string =>
  ({
    serial_port: 'for example /dev/ttyUSB0, or COM3 on Windows',
    ip_port: 'any that is free, for example 6677',
  })[name] ?? '';

/** "Muse 2, signal −52 dBm". */
export const headsetText = ({ title, rssi, way }: Headset): string =>
  `${title}, ${rssi === null ? way : `signal −${Math.abs(rssi)}\u00a0dBm`}`;

/** `time`: page time, seconds. */
export function connectionText(connection: Connection, time: number): string {
  if (connection.phase === 'connected') return 'Connected';
  if (connection.phase === 'connecting') return 'Connecting …';
  if (connection.phase === 'locked') return 'Not logged in';
  return `Reconnecting in ${Math.max(0, Math.ceil(connection.until - time))} s`;
}

/** State of the connection to the source. `lsl`: LSL time now, or null. */
export function linkText(link: LinkState, lsl: number | null): string {
  if (link.state === 'connected') return 'Connected';
  if (link.state === 'playing') return 'Playing';
  if (link.state === 'paused') return 'Paused';
  if (link.state === 'unknown') return 'Unknown';
  const lost =
    lsl !== null && link.since !== null
      ? `Lost for ${wholeDuration(lsl - link.since)}`
      : 'Connection lost';
  return link.state === 'retrying' ? `${lost}, reconnecting` : lost;
}

/** True if the newest prediction says that the signal is poor. */
const isPoor = ({ prediction, link }: SessionSnapshot): boolean =>
  prediction?.status === 'poor_signal' && ['connected', 'playing'].includes(link.state);

/** Title of the browser's tab: what needs attention comes first. */
export function pageTitle(
  session: { id: string; snapshot: SessionSnapshot } | null,
  connected: boolean,
  lsl: number | null,
): string {
  if (!connected) return 'No connection – mimamba';
  if (!session) return 'mimamba';
  const name = session.snapshot.title ?? session.id;
  return `${sessionText(session.snapshot, lsl)} – ${name} – mimamba`;
}

/** State of a session, for its tab. */
export function sessionText(snapshot: SessionSnapshot, lsl: number | null): string {
  if (snapshot.opening) return 'Opening';
  if (snapshot.ended) return 'Ended';
  const link = linkText(snapshot.link, lsl);
  const news = [
    ...(snapshot.recording === null ? [] : ['recording']),
    ...(isPoor(snapshot) ? ['poor signal'] : []),
  ];
  return [link, ...news].join(', ');
}

export const recordingStateText: Record<Recording['state'], string> = {
  recording: 'recording now',
  finished: 'complete',
  recovered: 'interrupted, recovered',
  unfinished: 'interrupted',
  damaged: 'damaged',
  uploaded: 'uploaded',
  unknown: 'origin unknown',
};

/** Why a value that infers emotion is not shown yet. */
export const READ_NOTICE = 'Read the notice first.';

export const BAD_PSEUDONYM = 'choose another pseudonym, for example P01';

const WITHOUT = 'Without a person, the baseline is not saved.';

/**
 * Hint below the pseudonym field: the person's saved baselines, or the rules for a new name.
 *
 * `without`: the hint while there is no name.
 */
export function personHint(name: string, people: readonly Person[], without = WITHOUT): string {
  if (!name) return without;
  if (!PSEUDONYM.test(name))
    return 'Use up to 81 letters, digits, “-”, “_” and “.”, for example P01. No real names.';
  const known = people.find(({ person }) => person === name);
  if (!known) return `${name} is new and will be added.`;
  if (known.damaged) return known.damaged;
  const baselines = known.baselines.map(
    ({ seconds, montage, taken }) => `${seconds} s (${montage.join(', ')}, ${taken.slice(0, 10)})`,
  );
  return baselines.length
    ? `${name}, saved baselines: ${baselines.join('; ')}.`
    : `${name}, no saved baseline.`;
}
