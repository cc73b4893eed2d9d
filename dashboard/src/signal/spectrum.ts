import { FFT } from './fft';
import type { RingBuffer } from './ring_buffer';

/** Length of the signal that a spectrum is computed from, seconds. */
export const SPECTRUM_SECONDS = 8;
/** Lowest frequency shown, Hz. */
export const LOWEST_HZ = 1;
/** Highest frequencies to choose from, Hz; with 65 both kinds of mains are in view. */
const HIGHEST_HZ = [45, 65, 125, 250] as const;

/** Upper ends of the range to choose from at a sampling rate, Hz. */
export function rangesOf(sfreq: number): number[] {
  const possible = HIGHEST_HZ.filter((hz) => hz <= sfreq / 2);
  return possible.length ? possible : [Math.floor(sfreq / 2)];
}
/** Window length, seconds: a resolution of 0.5 Hz. */
const WINDOW_SECONDS = 2;
/** No peak is reported below this, where 1/f noise is always strongest, nor above, where mains is. */
export const PEAK_HZ = [4, 45] as const;
/** µV²/Hz, below any amplifier's noise: a flat channel is drawn at -30 dB. */
const FLOOR = 1e-3;

/**
 * Power spectral density by Welch's method (1967): periodic Hann windows of 2 s, half overlap, mean
 * removed.
 *
 * Windows with lost samples are skipped. One-sided: the density of a sine of amplitude a integrates
 * to a² / 2, as in the service's band power.
 */
export class Spectrum {
  /** Frequency of each value, Hz. */
  readonly freqs: Float64Array;
  private readonly taper: Float64Array;
  private readonly fft: FFT;
  private readonly real: Float64Array;
  private readonly imaginary: Float64Array;
  private readonly samples: Float32Array;
  private readonly first: number;
  private readonly scale: number;

  /**
   * `highest`: upper end of the range, Hz, at most half the sampling rate. `seconds`: length of the
   * signal for one spectrum.
   */
  constructor(sfreq: number, highest: number, seconds: number = SPECTRUM_SECONDS) {
    const n = Math.round(WINDOW_SECONDS * sfreq);
    const size = 2 ** Math.ceil(Math.log2(n)); // zero-padded to a power of two
    this.first = Math.ceil((LOWEST_HZ * size) / sfreq);
    const last = Math.floor((Math.min(highest, sfreq / 2) * size) / sfreq);
    this.freqs = Float64Array.from(
      { length: last - this.first + 1 },
      (_, k) => ((this.first + k) * sfreq) / size,
    );
    this.taper = Float64Array.from(
      { length: n },
      (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / n),
    );
    this.scale = 2 / (sfreq * this.taper.reduce((sum, each) => sum + each * each, 0));
    this.fft = new FFT(size);
    this.real = new Float64Array(size);
    this.imaginary = new Float64Array(size);
    this.samples = new Float32Array(Math.round(seconds * sfreq));
  }

  /**
   * Write a channel's density over the signal up to sample `end` to `into`, dB re 1 µV²/Hz.
   *
   * Returns false if every window has a lost sample.
   */
  measure(ring: RingBuffer, channel: number, into: Float64Array, end = ring.newest): boolean {
    ring.read(channel, this.samples, end);
    into.fill(0);
    let windows = 0;
    const n = this.taper.length;
    for (let start = 0; start + n <= this.samples.length; start += n >> 1) {
      if (!this.load(start)) continue;
      windows += 1;
      this.fft.run(this.real, this.imaginary);
      for (let k = 0; k < into.length; k++)
        into[k] = into[k]! + this.real[this.first + k]! ** 2 + this.imaginary[this.first + k]! ** 2;
    }
    for (let k = 0; k < into.length; k++)
      into[k] = windows ? 10 * Math.log10((into[k]! * this.scale) / windows + FLOOR) : Number.NaN;
    return windows > 0;
  }

  /** Load the window that starts at `start`; false if a sample is lost. */
  private load(start: number): boolean {
    const n = this.taper.length;
    let sum = 0;
    for (let i = 0; i < n; i++) sum += this.samples[start + i]!;
    if (Number.isNaN(sum)) return false;
    this.real.fill(0, n);
    this.imaginary.fill(0);
    for (let i = 0; i < n; i++)
      this.real[i] = (this.samples[start + i]! - sum / n) * this.taper[i]!;
    return true;
  }
}

/** Highest peak from 4 to 45 Hz: a value above its neighbours. Null without one, or without data. */
export function peak(
  freqs: Float64Array,
  decibels: Float64Array,
): { hz: number; db: number } | null {
  let best = -1;
  for (let k = 0; k < freqs.length; k++)
    if (
      freqs[k]! >= PEAK_HZ[0] &&
      freqs[k]! <= PEAK_HZ[1] &&
      decibels[k]! > (decibels[k - 1] ?? Infinity) &&
      decibels[k]! >= (decibels[k + 1] ?? Infinity) &&
      decibels[k]! > (decibels[best] ?? -Infinity)
    )
      best = k;
  const db = decibels[best];
  return db === undefined || Number.isNaN(db) ? null : { hz: freqs[best]!, db };
}
