/**
 * Wire protocol v1: message types and msgpack frames.
 *
 * Field names are those of service/protocol/. Unknown fields and messages are ignored.
 */
import { Decoder, encode } from '@msgpack/msgpack';
import type { CalibrationProgress, Head, Personal, Verdict } from './calibration';
import type { StudyProgress } from './study';

export const PROTOCOL = 'mimamba.v1';
export const SUBPROTOCOL = 'mimamba.v1.msgpack';

export type Topic =
  | 'prediction'
  | 'quality'
  | 'bands'
  | 'signal'
  | 'marker'
  | 'link'
  | 'heart'
  | 'motion'
  | 'ppg'
  | 'calibration'
  | 'rating'
  | 'study';
export type Status = 'ok' | 'warming_up' | 'poor_signal';
export type Outputs = Record<string, Record<string, number>>;

/** Last `seq` received of each topic; with an unknown epoch the service starts at the oldest. */
export interface Since {
  epoch: string;
  seq: Partial<Record<Topic, number>>;
}

export type ClientMessage =
  | { type: 'auth'; token: string }
  | { type: 'subscribe'; session: string; topics: Topic[]; since?: Since; id?: string }
  | { type: 'unsubscribe'; session: string; topics?: Topic[]; id?: string }
  | { type: 'mark'; session: string; label: string; timestamp?: number; id?: string }
  | { type: 'ping'; t: number };

/** One instant in LSL time and in UNIX time, seconds. */
export interface Clock {
  lsl: number;
  unix: number;
}

export interface Stream {
  name: string;
  source_id: string;
  sfreq: number;
  ch_names: string[];
  uv_per_bit: number | null;
  range_uv: number | null;
  live: boolean;
  simulated: boolean;
  notices: string[];
}

export interface Model {
  name: string;
  sha256: string;
  trained_on: string;
  licence: string;
  notice: string | null;
  window: number;
  hop: number;
  r: number;
  /** True if an output infers emotion: the wearer must know. */
  emotion: boolean;
}

export interface Electrode {
  electrode: string;
  channel: string;
  distance_mm: number;
}

export interface Hello {
  type: 'hello';
  protocol: string;
  server: string;
  /** Null before a login. */
  clock: Clock | null;
  /** Permission of this page; null before a login. */
  scope: 'view' | 'control' | null;
  /** True if the page is logged in by a cookie, so that it can log out. */
  login?: boolean;
}

export interface Subscribed {
  type: 'subscribed';
  session: string;
  epoch: string;
  info: Stream;
  model: Model | null;
  outputs: Record<string, string[]> | null;
  montage: Electrode[] | null;
  delay: number | null;
  /** Personal output in use. */
  head?: Head | null;
  next: Partial<Record<Topic, number>>;
  id?: string | number;
}

export interface SessionState {
  type: 'session';
  session: string;
  state: 'opened' | 'ended' | 'closed';
  reason: string | null;
}

/** Entries `from` to `to` (both included) left the log before they could be sent. */
export interface Skipped {
  type: 'skipped';
  session: string;
  topic: Topic;
  from: number;
  to: number;
}

/** Error code for a session that does not exist or is not open yet. */
export const NO_SESSION = 'no_session';

export interface ServiceError {
  type: 'error';
  code: string;
  message: string;
  id?: string | number;
}

/** Labels of an output among which the true one is nine times in ten. */
export interface LabelSet {
  labels: string[];
  /** How often that was so in the newest `labelled` hops whose label is known. */
  coverage: number | null;
  labelled: number;
}

export interface Prediction {
  type: 'prediction';
  session: string;
  seq: number;
  index: number;
  timestamp: number;
  status: Status;
  reason: string | null;
  outputs: Outputs | null;
  /** Output of the person's own head, if one is used. */
  personal?: Personal | null;
  /** By output; absent without any. */
  set?: Record<string, LabelSet>;
  timing: { received: number; stepped: number; published: number };
}

export interface ChannelQuality {
  /** From 0 (useless) to 1 (good). */
  score: number;
  /** Main reason for a score below 0.7. */
  reason: 'railed' | 'flat' | 'no contact' | 'mains hum' | 'muscle' | 'drift' | null;
}

/** Signal quality of each channel over the 2 s up to sample `index`. */
export interface Quality {
  type: 'quality';
  session: string;
  seq: number;
  index: number;
  timestamp: number;
  channels: Record<string, ChannelQuality>;
  /** That the head moved in these 2 s, if the headset's own sensors show it. */
  motion?: string;
}

/** Power in µV² in 1-4, 4-8, 8-13, 13-30 and 30-40 Hz; null if a gap leaves too few samples. */
export interface ChannelBands {
  delta: number | null;
  theta: number | null;
  alpha: number | null;
  beta: number | null;
  gamma: number | null;
}

/** Band power of each channel over the 2 s up to sample `index`. */
export interface Bands {
  type: 'bands';
  session: string;
  seq: number;
  index: number;
  timestamp: number;
  channels: Record<string, ChannelBands>;
}

/** `data` is float32 µV, time-major; `timestamps` is float64 seconds; both little-endian bytes. */
export interface Signal {
  type: 'signal';
  session: string;
  seq: number;
  first: number;
  timestamps: Uint8Array;
  data: Uint8Array;
}

/** Samples of the pulse sensor; `first` counts them alone, and `data` is in `unit`. */
export interface PPG {
  type: 'ppg';
  session: string;
  seq: number;
  first: number;
  timestamps: Uint8Array;
  data: Uint8Array;
  channels: string[];
  unit: string;
  sfreq: number;
}

/** Samples of a motion sensor; `moved` if the head moved in them. */
export interface Motion extends Omit<PPG, 'type'> {
  type: 'motion';
  sensor: string;
  moved: boolean;
}

/** Heart rate over the last 10 s in beats per minute, or the reason for none. */
export interface Heart {
  type: 'heart';
  session: string;
  seq: number;
  index: number;
  timestamp: number;
  rate: number | null;
  /** From 0 (no pulse is visible) to 1 (all beats alike). */
  confidence: number;
  reason: 'too little signal' | 'samples are missing' | 'no clear pulse' | 'the head moved' | null;
}

export interface Marker {
  type: 'marker';
  session: string;
  seq: number;
  timestamp: number;
  index: number;
  label: string;
  source: string;
}

export interface Link {
  type: 'link';
  session: string;
  seq: number;
  timestamp: number;
  event:
    | 'connected'
    | 'lost'
    | 'retrying'
    | 'paused'
    | 'playing'
    | 'gap'
    | 'hops_skipped'
    | 'restarted'
    | 'recording'
    | 'model'
    | 'baseline_begun'
    | 'baseline_taken'
    | 'baseline_used'
    | 'baseline_stopped'
    | 'head'
    | 'labelled';
  detail: string;
  first: number | null;
  lost: number | null;
}

/** State of a calibration: once per second of signal, and at each change. */
export interface CalibrationStep {
  type: 'calibration';
  session: string;
  seq: number;
  index: number;
  timestamp: number;
  /** Id of the calibration. */
  id: string;
  progress: CalibrationProgress;
  /** With the phase `done`. */
  verdict?: Verdict | null;
}

/** A rating of how the person felt, 0 to 100, with what was predicted before it was known. */
export interface RatingEntry {
  type: 'rating';
  session: string;
  seq: number;
  index: number;
  timestamp: number;
  valence: number;
  arousal: number;
  personal: Personal | null;
  outputs: Outputs | null;
}

/** State of a study, at each change; `timestamp` in LSL time. */
export interface StudyStep {
  type: 'study';
  session: string;
  seq: number;
  timestamp: number;
  /** Id of this run. */
  id: string;
  progress: StudyProgress;
}

export type TopicMessage =
  | Prediction
  | Quality
  | Bands
  | Signal
  | PPG
  | Motion
  | Heart
  | Marker
  | Link
  | CalibrationStep
  | RatingEntry
  | StudyStep;
export type ServerMessage =
  | Hello
  | Subscribed
  | { type: 'ok'; id: string | number }
  | { type: 'pong'; t: number; clock: Clock }
  | { type: 'heartbeat'; clock: Clock }
  | SessionState
  | Skipped
  | ServiceError
  | TopicMessage;

const TYPES: ReadonlySet<string> = new Set<ServerMessage['type']>([
  'hello',
  'subscribed',
  'ok',
  'pong',
  'heartbeat',
  'session',
  'skipped',
  'error',
  'prediction',
  'quality',
  'bands',
  'signal',
  'ppg',
  'motion',
  'heart',
  'marker',
  'link',
  'calibration',
  'rating',
  'study',
]);

/** A frame that this page cannot read. */
export class ProtocolError extends Error {
  override name = 'ProtocolError';
}

const decoder = new Decoder();

/** Decode one frame of any type. Throws ProtocolError. */
export function decodeMessage(frame: unknown): { type: string } {
  if (!(frame instanceof ArrayBuffer)) throw new ProtocolError('expected a msgpack frame');
  let message: unknown;
  try {
    message = decoder.decode(new Uint8Array(frame));
  } catch (error) {
    throw new ProtocolError(`expected a msgpack frame: ${String(error)}`);
  }
  if (typeof message !== 'object' || message === null || !('type' in message))
    throw new ProtocolError('expected a message in the frame');
  return message as { type: string };
}

/** Decode one frame; null if the message type is unknown. Throws ProtocolError. */
export function decodeFrame(frame: unknown): ServerMessage | null {
  const message = decodeMessage(frame);
  return TYPES.has(message.type) ? (message as ServerMessage) : null;
}

export function encodeFrame(message: ClientMessage): Uint8Array<ArrayBuffer> {
  return encode(message);
}

/** Bytes as float32 values: a view if they are aligned, else a copy. */
export function float32(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 2);
}

/** Bytes as float64 values: a view if they are aligned, else a copy. */
export function float64(bytes: Uint8Array): Float64Array {
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
  return new Float64Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 3);
}
