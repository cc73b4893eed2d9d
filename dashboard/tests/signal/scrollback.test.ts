import { describe, expect, it } from 'vitest';
import { RingBuffer } from '../../src/signal/ring_buffer';
import { clampEnd, frozenEnd, maxSecondsBack, secondsBack } from '../../src/signal/scrollback';

const ringOf = (samples: number): RingBuffer => {
  const ring = new RingBuffer(1, 1000);
  ring.write(500, new Float32Array(samples));
  return ring;
};

describe('scrolling back', () => {
  it('is impossible before the buffer has more than a window', () => {
    const ring = ringOf(80);
    expect(maxSecondsBack(ring, 100, 100)).toBe(0);
    expect(clampEnd(ring, ring.newest, 100)).toBe(ring.newest);
    expect(clampEnd(ring, 0, 100)).toBe(ring.newest);
  });

  it('reaches back to the oldest sample in the buffer', () => {
    const ring = ringOf(700);
    expect(maxSecondsBack(ring, 100, 100)).toBe(6);
    expect(clampEnd(ring, 0, 100)).toBe(599);
    expect(secondsBack(ring, 599, 100)).toBe(6);
    ring.write(1200, new Float32Array(800)); // wrapped around: 1000 samples up to 1999
    expect(maxSecondsBack(ring, 100, 100)).toBe(9);
    expect(clampEnd(ring, 599, 100)).toBe(1099);
    expect(clampEnd(ring, 1500, 100)).toBe(1500);
    expect(clampEnd(ring, 9999, 100)).toBe(1999);
  });

  it('keeps a frozen window in place until its samples leave the buffer', () => {
    const ring = ringOf(80);
    const end = ring.newest;
    ring.write(580, new Float32Array(900));
    expect(frozenEnd(ring, end, 100)).toBe(end);
    ring.write(1480, new Float32Array(200));
    expect([ring.start, ring.oldest]).toEqual([500, 680]);
    expect(frozenEnd(ring, end, 100)).toBe(779);
    expect(frozenEnd(ring, 1000, 100)).toBe(1000);
  });
});
