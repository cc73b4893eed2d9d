import { describe, expect, it } from 'vitest';
import { SampleRing } from '../../src/signal/ring_buffer';
import { behind, room, still, within } from '../../src/signal/scrollback';

const ringOf = (samples: number): SampleRing => {
  const ring = new SampleRing(1, 1000);
  ring.write(500, new Float32Array(samples));
  return ring;
};

describe('scrolling back', () => {
  it('has no room before there is more than is shown', () => {
    const ring = ringOf(80);
    expect(room(ring, 100, 100)).toBe(0);
    expect(within(ring, ring.newest, 100)).toBe(ring.newest);
    expect(within(ring, 0, 100)).toBe(ring.newest);
  });

  it('reaches back to the oldest sample that is kept', () => {
    const ring = ringOf(700);
    expect(room(ring, 100, 100)).toBe(6);
    expect(within(ring, 0, 100)).toBe(599);
    expect(behind(ring, 599, 100)).toBe(6);
    ring.write(1200, new Float32Array(800)); // it has gone round: 1000 samples up to 1999
    expect(room(ring, 100, 100)).toBe(9);
    expect(within(ring, 599, 100)).toBe(1099);
    expect(within(ring, 1500, 100)).toBe(1500);
    expect(within(ring, 9999, 100)).toBe(1999);
  });

  it('holds a view still, though it is not full, until its samples leave the ring', () => {
    const ring = ringOf(80);
    const end = ring.newest;
    ring.write(580, new Float32Array(900));
    expect(still(ring, end, 100)).toBe(end);
    ring.write(1480, new Float32Array(200));
    expect([ring.oldest, ring.kept]).toEqual([500, 680]);
    expect(still(ring, end, 100)).toBe(779);
    expect(still(ring, 1000, 100)).toBe(1000);
  });
});
