/** Frames of wire protocol v1: msgpack, and bytes as numbers. */
import { Decoder, encode } from '@msgpack/msgpack';
import type { Ack, ClientMessage, Pushing, ServerMessage, Topic } from './messages.js';

export const PROTOCOL = 'mimamba.v1';
export const SUBPROTOCOL = 'mimamba.v1.msgpack';

/** Error code for a session that does not exist or is not open yet. */
export const NO_SESSION = 'no_session';

/** What a subscriber receives; other messages are for those who send samples. */
export type StreamMessage = Exclude<ServerMessage, Pushing | Ack>;
/** Entry of a session's log. */
export type TopicMessage = Extract<StreamMessage, { type: Topic }>;

const TYPES: Readonly<Record<StreamMessage['type'], true>> = {
  hello: true,
  subscribed: true,
  ok: true,
  pong: true,
  heartbeat: true,
  session: true,
  skipped: true,
  error: true,
  prediction: true,
  quality: true,
  bands: true,
  signal: true,
  ppg: true,
  motion: true,
  heart: true,
  marker: true,
  link: true,
  calibration: true,
  rating: true,
  study: true,
  feedback: true,
};

/** A frame that this client cannot read. */
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
export function decodeFrame(frame: unknown): StreamMessage | null {
  const message = decodeMessage(frame);
  return Object.hasOwn(TYPES, message.type) ? (message as StreamMessage) : null;
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
