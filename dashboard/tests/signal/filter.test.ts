import { describe, expect, it } from 'vitest';
import { FilteredBuffer, displaySections, gain } from '../../src/signal/filter';
import { RingBuffer } from '../../src/signal/ring_buffer';
import { random } from '../random';

const SFREQ = 256;
const decibels = (ratio: number): number => 20 * Math.log10(ratio);

/** Filtered samples of one channel, written in chunks of these lengths. */
function filtered(samples: Float32Array, chunk: () => number, gaps: number[] = []): number[] {
  const source = new RingBuffer(1, samples.length);
  const filter = new FilteredBuffer(source, 'band', SFREQ);
  for (let first = 0; first < samples.length;) {
    const end = Math.min(samples.length, first + chunk());
    const lost = gaps.some((gap) => gap >= first && gap < end);
    if (!lost) source.write(first, samples.slice(first, end));
    filter.follow();
    first = end;
  }
  const into = new Float32Array(source.newest + 1);
  filter.ring.read(0, into);
  return [...into];
}

const sine = (hz: number, seconds: number, offset = 0): Float32Array =>
  Float32Array.from(
    { length: seconds * SFREQ },
    (_, i) => offset + Math.sin((2 * Math.PI * hz * i) / SFREQ),
  );

const loudest = (values: number[]): number => Math.max(...values.map(Math.abs));

describe('displaySections', () => {
  it.each([250, 256, 500, 1000])('pass 1 to 40 Hz but no mains at %d Hz', (sfreq) => {
    const sections = displaySections('band', sfreq);
    const at = (hz: number): number => decibels(gain(sections, hz, sfreq));
    expect(at(1)).toBeCloseTo(-3, 1); // Butterworth's edge
    for (const hz of [3, 6, 10, 20]) expect(Math.abs(at(hz))).toBeLessThan(0.6);
    expect(at(0.1)).toBeLessThan(-38);
    expect(at(50)).toBeLessThan(-100);
    expect(at(60)).toBeLessThan(-100);
    expect(at(100)).toBeLessThan(-14);
  });

  it.each([50, 60] as const)('take out mains of %d Hz alone, with its harmonic', (mains) => {
    const sections = displaySections(mains, 500);
    const at = (hz: number): number => decibels(gain(sections, hz, 500));
    for (const hz of [mains, 2 * mains]) expect(at(hz)).toBeLessThan(-100);
    for (const hz of [0.1, 1, 10, 30, 75, 150]) expect(Math.abs(at(hz))).toBeLessThan(0.6);
    expect(displaySections(mains, 200)).toHaveLength(1);
  });

  it('leave out frequencies too high for a low rate', () => {
    expect(displaySections('band', 125)).toHaveLength(3); // 60 Hz is too close to half the rate
    expect(displaySections('band', 64)).toHaveLength(1);
  });
});

describe('FilteredBuffer', () => {
  it.each([0.3, 1, 10, 40, 50])('filters a sine of %d Hz as its gain says', (hz) => {
    const end = filtered(sine(hz, 20), () => 11).slice(10 * SFREQ);
    expect(loudest(end)).toBeCloseTo(gain(displaySections('band', SFREQ), hz, SFREQ), 2);
  });

  it('does not ring after an offset', () => {
    const offset = Float32Array.from({ length: SFREQ }, () => 100_000);
    expect(loudest(filtered(offset, () => 12))).toBe(0);
  });

  it('gives the same for any chunks, independent of later samples', () => {
    const next = random(3);
    const samples = Float32Array.from({ length: 4 * SFREQ }, () => 100 * next());
    const whole = filtered(samples, () => samples.length);
    expect(filtered(samples, () => 1 + Math.floor(next() * 700))).toEqual(whole);
    expect(filtered(samples.slice(0, SFREQ), () => 7)).toEqual(whole.slice(0, SFREQ));
  });

  it('restarts after a gap, which stays', () => {
    const samples = sine(10, 4, 500);
    const broken = filtered(samples, () => 64, [3 * 64]);
    const after = filtered(samples.slice(4 * 64), () => 64);
    expect(broken.slice(3 * 64, 4 * 64).every(Number.isNaN)).toBe(true);
    expect(broken.slice(4 * 64)).toEqual(after);
  });

  it('follows a buffer that has wrapped around', () => {
    const source = new RingBuffer(1, 300);
    const filter = new FilteredBuffer(source, 'band', SFREQ);
    filter.follow();
    expect(filter.ring.newest).toBe(-1);
    source.write(0, sine(10, 1));
    filter.follow();
    source.write(SFREQ, sine(10, 4, 10_000));
    filter.follow();
    expect([filter.ring.newest, filter.ring.oldest]).toEqual([source.newest, source.oldest]);
    const into = new Float32Array(300);
    filter.ring.read(0, into);
    expect(loudest([...into])).toBeLessThan(2); // the previous offset is forgotten
  });
});
