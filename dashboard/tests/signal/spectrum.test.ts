import { describe, expect, it } from 'vitest';
import { FFT } from '../../src/signal/fft';
import { RingBuffer } from '../../src/signal/ring_buffer';
import { Spectrogram } from '../../src/signal/spectrogram';
import { Spectrum, peak, rangesOf } from '../../src/signal/spectrum';
import { random } from '../random';

describe('FFT', () => {
  it('matches the definition', () => {
    const next = random(1);
    const n = 32;
    const values = Array.from({ length: n }, () => [next() - 0.5, next() - 0.5] as const);
    const real = Float64Array.from(values, ([re]) => re);
    const imaginary = Float64Array.from(values, ([, im]) => im);
    new FFT(n).run(real, imaginary);
    for (let k = 0; k < n; k++) {
      let [re, im] = [0, 0];
      for (const [i, [x, y]] of values.entries()) {
        const angle = (-2 * Math.PI * k * i) / n;
        re += x * Math.cos(angle) - y * Math.sin(angle);
        im += x * Math.sin(angle) + y * Math.cos(angle);
      }
      expect(real[k]).toBeCloseTo(re, 10);
      expect(imaginary[k]).toBeCloseTo(im, 10);
    }
  });

  it('takes powers of two only', () => {
    expect(() => new FFT(48)).toThrow('expected a power of two, found 48');
  });
});

/** A ring with one channel that `value` makes of the time in seconds. */
function ringOf(sfreq: number, seconds: number, value: (t: number) => number): RingBuffer {
  const ring = new RingBuffer(1, 20 * sfreq);
  ring.write(
    0,
    Float32Array.from({ length: seconds * sfreq }, (_, i) => value(i / sfreq)),
  );
  return ring;
}

function measured(sfreq: number, ring: RingBuffer) {
  const spectrum = new Spectrum(sfreq, 45);
  const decibels = new Float64Array(spectrum.freqs.length);
  const whole = spectrum.measure(ring, 0, decibels);
  return { freqs: spectrum.freqs, decibels, whole };
}

describe('rangesOf', () => {
  it('end at half the sampling rate', () => {
    expect(rangesOf(64)).toEqual([32]);
    expect(rangesOf(250)).toEqual([45, 65, 125]);
    expect(new Spectrum(250, 125).freqs.at(-1)).toBeCloseTo(125, 0);
  });
});

describe('Spectrum', () => {
  it.each([250, 256, 500])('finds frequency and power of a sine at %d Hz', (sfreq) => {
    const ring = ringOf(sfreq, 8, (t) => 300 + 20 * Math.sin(2 * Math.PI * 10 * t));
    const { freqs, decibels } = measured(sfreq, ring);
    expect([freqs[0]! >= 1, freqs.at(-1)! <= 45]).toEqual([true, true]);
    expect(peak(freqs, decibels)?.hz).toBeCloseTo(10, 0);
    const width = freqs[1]! - freqs[0]!;
    const power = decibels.reduce((sum, db) => sum + width * 10 ** (db / 10), 0);
    expect(power / 200).toBeCloseTo(1, 2); // a² / 2
  });

  it('is flat for white noise, at its density', () => {
    const next = random(4);
    const ring = ringOf(256, 8, () => Math.sqrt(12 * 128) * (next() - 0.5)); // 1 µV²/Hz
    const { decibels } = measured(256, ring);
    const mean = decibels.reduce((sum, db) => sum + 10 ** (db / 10), 0) / decibels.length;
    expect(mean).toBeGreaterThan(0.8);
    expect(mean).toBeLessThan(1.25);
  });

  it('skips windows with lost samples, and reports if none is left', () => {
    const sine = (t: number): number => Math.sin(2 * Math.PI * 10 * t);
    const broken = ringOf(256, 3, sine);
    broken.write(4 * 256, ringSamples(4, sine));
    const { freqs, decibels, whole } = measured(256, broken);
    expect(whole).toBe(true);
    expect(peak(freqs, decibels)?.hz).toBe(10);
    const short = measured(256, ringOf(256, 1, sine));
    expect(short.whole).toBe(false);
    expect(peak(short.freqs, short.decibels)).toBeNull();
  });
});

const ringSamples = (seconds: number, value: (t: number) => number): Float32Array =>
  Float32Array.from({ length: seconds * 256 }, (_, i) => value(i / 256));

describe('Spectrogram', () => {
  const chirp = (t: number): number => 20 * Math.sin(2 * Math.PI * (t < 5 ? 10 : 20) * t);
  const strongest = (data: Spectrogram, column: number): number | undefined => {
    const from = column * data.freqs.length;
    return peak(data.freqs, data.values.subarray(from, from + data.freqs.length))?.hz;
  };

  it('has a column for each second, the newest last', () => {
    const data = new Spectrogram(256, 45, 6);
    expect(data.colourRange()).toBeNull();
    expect(data.follow(ringOf(256, 10, chirp), 0)).toBe(true);
    expect([0, 5].map((column) => strongest(data, column))).toEqual([10, 20]);
    const [dark, bright] = data.colourRange()!;
    expect(bright).toBeGreaterThan(dark);
  });

  it('moves on by whole seconds, and leaves lost signal blank', () => {
    const data = new Spectrogram(256, 45, 6);
    const ring = ringOf(256, 4, chirp);
    data.follow(ring, 0);
    const last = strongest(data, 5);
    ring.write(4 * 256, ringSamples(0.5, chirp));
    expect(data.follow(ring, 0)).toBe(false);
    ring.write(6 * 256, ringSamples(2, chirp));
    expect(data.follow(ring, 0)).toBe(true);
    expect(strongest(data, 1)).toBe(last);
    expect([2, 3, 4, 5].map((column) => strongest(data, column))).toEqual([
      undefined,
      undefined,
      undefined,
      10,
    ]);
  });
});
