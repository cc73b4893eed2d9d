/** Messages of an acquirer in wire protocol v1; field names are those of service/protocol/push.py. */
import { encode } from '@msgpack/msgpack';
import { type Hello, type ServerMessage, type Stream, decodeMessage } from '../connection/protocol';

/** Change of the link to the headset; `timestamp` in seconds on the page's clock. */
export interface LinkChange {
  state: 'connected' | 'lost' | 'retrying';
  timestamp: number;
  detail: string;
}

export interface Push {
  type: 'push';
  /** Globally unique name of this run of the source, by which its session is found again. */
  stream: string;
  info: Stream;
  /** Name of a checkpoint or `none`; the service's default if absent. */
  model?: string;
  /** Pseudonym of the one who wears the headset. */
  person?: string;
}

/** Samples that the headset measures beside the EEG, as in `Samples`. */
export interface SensorSamples {
  name: 'ppg' | 'acceleration' | 'rotation';
  unit: string;
  sfreq: number;
  channels: readonly string[];
  first: number;
  timestamps: Uint8Array;
  data: Uint8Array;
}

export interface Samples {
  type: 'samples';
  session: string;
  seq: number;
  first: number;
  timestamps: Uint8Array;
  data: Uint8Array;
  /** The service's clock less the page's, seconds. */
  offset: number;
  changes: LinkChange[];
  ends: boolean;
  /** What else the headset has measured meanwhile. */
  sensors: SensorSamples[];
  /** Charge of the headset, percent; null if unknown. */
  battery: number | null;
}

export type Answer =
  | Hello
  | Extract<ServerMessage, { type: 'pong' | 'error' }>
  | { type: 'pushing'; session: string; stream: string; next: number }
  | { type: 'ack'; session: string; seq: number };

const ANSWERS: ReadonlySet<string> = new Set(['hello', 'pong', 'error', 'pushing', 'ack']);

/** Decode one frame; null if it is no answer to an acquirer. Throws ProtocolError. */
export function decodeAnswer(frame: unknown): Answer | null {
  const message = decodeMessage(frame);
  return ANSWERS.has(message.type) ? (message as Answer) : null;
}

/** An array's own bytes; browsers and the wire are little-endian. */
export const bytesOf = (values: Float32Array | Float64Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

export const encodeMessage = (
  message: Push | Samples | { type: 'ping'; t: number },
): Uint8Array<ArrayBuffer> => encode(message);
