import { describe, expect, it } from 'vitest';
import { RingBuffer } from '../../src/signal/ring_buffer';
import { random } from '../random';

const CHANNELS = 3;

/** Value made of index and channel. */
function samples(first: number, count: number): Float32Array {
  const data = new Float32Array(count * CHANNELS);
  for (let i = 0; i < count; i++)
    for (let c = 0; c < CHANNELS; c++) data[i * CHANNELS + c] = (first + i) * 10 + c;
  return data;
}

function shown(ring: RingBuffer, length = ring.capacity): (number | null)[][] {
  return Array.from({ length: CHANNELS }, (_, c) => {
    const into = new Float32Array(length);
    ring.read(c, into);
    return Array.from(into, (value) => (Number.isNaN(value) ? null : value));
  });
}

/** Expected content of a buffer after these chunks, [first, count]. */
function expected(stretches: [number, number][], capacity: number): (number | null)[][] {
  const known = new Set<number>();
  for (const [first, count] of stretches) for (let i = 0; i < count; i++) known.add(first + i);
  const newest = Math.max(...known);
  return Array.from({ length: CHANNELS }, (_, c) =>
    Array.from({ length: capacity }, (_, i) => {
      const index = newest - capacity + 1 + i;
      return known.has(index) ? index * 10 + c : null;
    }),
  );
}

describe('RingBuffer', () => {
  it('is empty before the first sample', () => {
    const ring = new RingBuffer(CHANNELS, 4);
    expect(shown(ring)).toEqual([0, 1, 2].map(() => [null, null, null, null]));
    expect(ring.newest).toBe(-1);
  });

  it('has the same samples for any chunks, across wraps and gaps', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const next = random(seed);
      const capacity = 1 + Math.floor(next() * 40);
      const ring = new RingBuffer(CHANNELS, capacity);
      const stretches: [number, number][] = [];
      let first = Math.floor(next() * 100);
      for (let chunk = 0; chunk < 12; chunk++) {
        const count = 1 + Math.floor(next() * 30);
        ring.write(first, samples(first, count));
        stretches.push([first, count]);
        const gap = next() < 0.3 ? Math.floor(next() * 60) : 0;
        first += count + gap;
        expect(shown(ring), `seed ${seed}`).toEqual(expected(stretches, capacity));
      }
      expect(ring.start).toBe(stretches[0]![0]);
    }
  });

  it('skips samples that it has already', () => {
    const ring = new RingBuffer(CHANNELS, 10);
    ring.write(0, samples(0, 6));
    ring.write(2, samples(2, 3));
    ring.write(4, samples(4, 4));
    expect(shown(ring)).toEqual(expected([[0, 8]], 10));
    expect(ring.newest).toBe(7);
  });

  it('keeps the end of a chunk longer than the buffer', () => {
    const ring = new RingBuffer(CHANNELS, 5);
    ring.write(7, samples(7, 23));
    expect(shown(ring)).toEqual(expected([[7, 23]], 5));
  });

  it('reads a shorter window, and pads a longer one', () => {
    const ring = new RingBuffer(CHANNELS, 4);
    ring.write(0, samples(0, 4));
    expect(shown(ring, 2)[0]).toEqual([20, 30]);
    expect(shown(ring, 6)[0]).toEqual([null, null, 0, 10, 20, 30]);
  });

  it('reads back to its oldest sample for any window', () => {
    const values = (ring: RingBuffer, end: number): number[] => {
      const into = new Float32Array(3);
      ring.read(0, into, end);
      return [...into];
    };
    const ring = new RingBuffer(1, 6);
    expect(ring.oldest).toBe(-1);
    ring.write(10, Float32Array.of(10, 11));
    expect(ring.oldest).toBe(10);
    ring.write(13, Float32Array.of(13, 14, 15, 16), 3);
    expect([ring.oldest, ring.newest]).toEqual([10, 15]);
    expect(values(ring, 15)).toEqual([13, 14, 15]);
    expect(values(ring, 12)).toEqual([10, 11, Number.NaN]);
    expect(values(ring, 17)).toEqual([15, Number.NaN, Number.NaN]);
    expect(values(ring, 10)).toEqual([Number.NaN, Number.NaN, 10]);
    expect(values(ring, 3)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    ring.write(16, Float32Array.of(16, 17));
    expect(ring.oldest).toBe(12);
    expect(values(ring, 13)).toEqual([Number.NaN, Number.NaN, 13]);
  });

  it('takes indices beyond 32 bits', () => {
    const ring = new RingBuffer(1, 4);
    ring.write(5_000_000_000, Float32Array.of(1, 2));
    ring.write(5_000_000_003, Float32Array.of(4));
    const into = new Float32Array(4);
    ring.read(0, into);
    expect([...into]).toEqual([1, 2, Number.NaN, 4]);
  });
});
