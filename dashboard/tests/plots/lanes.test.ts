import { describe, expect, it } from 'vitest';
import { Lanes, type Pen } from '../../src/plots/lanes';
import { RingBuffer } from '../../src/signal/ring_buffer';
import { random } from '../random';

const TALL = { left: 0, top: 0, width: 1000, height: 200 };

/** Lines of points that were drawn. */
class Drawn implements Pen {
  readonly lines: [number, number][][] = [];
  moveTo(x: number, y: number): void {
    this.lines.push([[x, y]]);
  }
  lineTo(x: number, y: number): void {
    this.lines.at(-1)!.push([x, y]);
  }
}

function drawn(lanes: Lanes, channel: number, width = TALL.width): [number, number][][] {
  const pen = new Drawn();
  lanes.trace(pen, channel, { ...TALL, width });
  return pen.lines;
}

describe('Lanes', () => {
  it('draws each channel in its lane, without offset, with breaks at lost samples', () => {
    const ring = new RingBuffer(2, 100);
    ring.write(0, Float32Array.of(1000, -5, 1100, -5));
    ring.write(3, Float32Array.of(1050, -5));
    const lanes = new Lanes(2, 4);
    lanes.fill(ring, 3, 100, 0);
    const first = drawn(lanes, 0);
    expect(first.map((line) => line.map(([x]) => x))).toEqual([[250, 500], [1000]]);
    expect(first.flat().map(([, y]) => y)).toEqual([75, 25, 50]);
    expect(drawn(lanes, 1).flat()).toEqual([
      [250, 150],
      [500, 150],
      [1000, 150],
    ]);
  });

  it('clips values to the lane', () => {
    const ring = new RingBuffer(1, 100);
    ring.write(0, Float32Array.of(-9000, 9000, 0));
    const lanes = new Lanes(1, 3);
    lanes.fill(ring, 2, 10, 0);
    expect(drawn(lanes, 0)[0]!.map(([, y]) => y)).toEqual([200, 0, 100]);
  });

  it('finds gaps, but none before the first sample', () => {
    const ring = new RingBuffer(1, 100);
    ring.write(10, new Float32Array(5));
    ring.write(20, new Float32Array(5));
    const gaps = (end: number): number[][] => {
      const lanes = new Lanes(1, 10);
      const found: number[][] = [];
      lanes.fill(ring, end, 100, 0);
      lanes.gaps(ring, (from, to) => found.push([lanes.first + from, lanes.first + to]));
      return found;
    };
    expect(gaps(24)).toEqual([[15, 20]]);
    expect(gaps(17)).toEqual([[15, 18]]); // the window ends in it
    expect(gaps(13)).toEqual([]);
  });

  it('draws minimum and maximum of dense samples, the same in every frame', () => {
    const next = random(5);
    const ring = new RingBuffer(1, 5000);
    ring.write(
      0,
      Float32Array.from({ length: 4000 }, () => 100 * (next() - 0.5)),
    );
    const lanes = new Lanes(1, 1000);
    /** The indices of the samples that are drawn of the 1000 up to `end`. */
    const chosen = (end: number): Set<number> => {
      lanes.fill(ring, end, 1000, 0);
      const points = drawn(lanes, 0, 100).flat();
      return new Set(points.map(([x]) => Math.round(x * 10) - 1 + lanes.first));
    };
    const [early, late] = [chosen(1999), chosen(2053)];
    expect([early.size, late.size]).toEqual([200, 202]); // two bins are partly outside the window
    for (let index = 1060; index < 1990; index++) expect(late.has(index)).toBe(early.has(index));
  });

  it('breaks a dense line at a gap, however short', () => {
    const ring = new RingBuffer(1, 5000);
    ring.write(0, new Float32Array(500));
    ring.write(501, new Float32Array(499));
    const lanes = new Lanes(1, 1000);
    lanes.fill(ring, 999, 100, 0);
    expect(drawn(lanes, 0, 100)).toHaveLength(3);
  });

  it('updates an automatic scale once a second', () => {
    const ring = new RingBuffer(1, 100);
    const lanes = new Lanes(1, 4);
    const fill = (amplitude: number, time: number, step: number | null = null): number => {
      ring.write(ring.newest + 1, Float32Array.of(amplitude, -amplitude, amplitude, -amplitude));
      lanes.fill(ring, ring.newest, step, time);
      return lanes.step;
    };
    expect(fill(100, 0)).toBe(500);
    expect(fill(10, 900)).toBe(500);
    expect(fill(10, 1100)).toBe(50);
    expect(fill(10, 1200, 20)).toBe(20);
  });
});
