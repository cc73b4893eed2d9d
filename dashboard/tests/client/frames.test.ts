import { describe, expect, it } from 'vitest';
import {
  decodeFrame,
  encodeFrame,
  float32,
  float64,
  ProtocolError,
  type StreamMessage,
  type SignalMessage,
} from 'mimamba-client';
import { encode } from '@msgpack/msgpack';
import { arrayBuffer } from '../service';
// Written by tests/test_frames.py with the encoder of the service.
import frames from '../frames.json';

const bytes = (hex: string): ArrayBuffer => arrayBuffer(Buffer.from(hex, 'hex'));

describe('decodeFrame', () => {
  it.each(frames)('reads $fields.type from the service', ({ frame, fields }) => {
    const message = decodeFrame(bytes(frame));
    if (message === null || !('data' in message)) {
      expect(message).toEqual(fields);
      return;
    }
    const { data, timestamps, ...rest } = message;
    const { data: microvolts, timestamps: seconds, ...others } = fields as unknown as SignalMessage;
    expect(rest).toEqual(others);
    expect([...float32(data)]).toEqual(microvolts);
    expect([...float64(timestamps)]).toEqual(seconds);
  });

  it.each(frames)('reads the same from the JSON of $fields.type', ({ json, fields }) => {
    const message = JSON.parse(json) as StreamMessage;
    if (!('data' in message)) {
      expect(message).toEqual(fields);
      return;
    }
    // In JSON, arrays are base64.
    const bytesOf = (text: unknown): Uint8Array =>
      new Uint8Array(Buffer.from(String(text), 'base64'));
    const { data, timestamps } = fields as unknown as SignalMessage;
    expect([...float32(bytesOf(message.data))]).toEqual(data);
    expect([...float64(bytesOf(message.timestamps))]).toEqual(timestamps);
  });

  it('reads every message type of the service', () => {
    const types = new Set(frames.map(({ fields }) => fields.type));
    expect(types.size).toBe(21);
  });

  it('ignores an unknown message type', () => {
    expect(decodeFrame(arrayBuffer(encode({ type: 'weather', rain: 1 })))).toBeNull();
  });

  it('rejects invalid frames', () => {
    expect(() => decodeFrame('{"type": "hello"}')).toThrow(ProtocolError);
    expect(() => decodeFrame(bytes('c1'))).toThrow(ProtocolError);
    expect(() => decodeFrame(bytes('c0'))).toThrow(ProtocolError);
  });
});

describe('encodeFrame', () => {
  const hex = (frame: Uint8Array): string => Buffer.from(frame).toString('hex');

  // The service decodes the same frames in tests/test_frames.py.
  it('writes frames that the service reads', () => {
    const since = { epoch: 'e', seq: { signal: 70000 } };
    expect(
      hex(encodeFrame({ type: 'subscribe', session: 'muse-1', topics: ['signal', 'link'], since })),
    ).toBe(
      '84a474797065a9737562736372696265a773657373696f6ea66d7573652d31a6746f7069637392a67369676e616c' +
        'a46c696e6ba573696e636582a565706f6368a165a373657181a67369676e616cce00011170',
    );
    expect(hex(encodeFrame({ type: 'unsubscribe', session: 'muse-1', topics: ['signal'] }))).toBe(
      '83a474797065ab756e737562736372696265a773657373696f6ea66d7573652d31a6746f7069637391a67369676e616c',
    );
  });
});

describe('float32 and float64', () => {
  it('read bytes at any offset', () => {
    const values = Float64Array.of(812.125, -3, 1e5);
    for (let offset = 0; offset < 9; offset++) {
      const held = new Uint8Array(64);
      held.set(new Uint8Array(values.buffer), offset);
      expect([...float64(held.subarray(offset, offset + 24))]).toEqual([...values]);
      held.set(new Uint8Array(Float32Array.of(1.5, -2).buffer), offset);
      expect([...float32(held.subarray(offset, offset + 8))]).toEqual([1.5, -2]);
    }
  });
});
