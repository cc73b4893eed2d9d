/** Messages between an acquirer and the service. */
import { encode } from '@msgpack/msgpack';
import {
  type Ack,
  type Ping,
  type Push,
  type Pushing,
  type Samples,
  type StreamMessage,
  decodeMessage,
} from 'mimamba-client';

export type Answer = Extract<StreamMessage, { type: 'hello' | 'pong' | 'error' }> | Pushing | Ack;

const ANSWERS: ReadonlySet<string> = new Set<Answer['type']>([
  'hello',
  'pong',
  'error',
  'pushing',
  'ack',
]);

/** Decode one frame; null if it is no answer to an acquirer. Throws ProtocolError. */
export function decodeAnswer(frame: unknown): Answer | null {
  const message = decodeMessage(frame);
  return ANSWERS.has(message.type) ? (message as Answer) : null;
}

/** An array's own bytes; browsers and the wire are little-endian. */
export const bytesOf = (values: Float32Array | Float64Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

export const encodeMessage = (message: Push | Samples | Ping): Uint8Array<ArrayBuffer> =>
  encode(message);
