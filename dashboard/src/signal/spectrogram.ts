import type { RingBuffer } from './ring_buffer';
import { Spectrum } from './spectrum';

/** Signal behind one column, seconds; a new column comes each second. */
const COLUMN_SECONDS = 2;
/** Shares of all values below the darkest and the brightest colour. */
const DARKEST = 0.05;
const BRIGHTEST = 0.98;

/** Spectra of one channel, one for each of the last seconds; the newest one is the last. */
export class Spectrogram {
  /** Density, dB re 1 µV²/Hz, column by column; NaN where there is no whole signal. */
  readonly values: Float64Array;
  /** Frequency of each value of a column, Hz. */
  readonly freqs: Float64Array;
  private readonly spectrum: Spectrum;
  private ring: RingBuffer | null = null;
  /** Number of the newest column: that of its last second since index 0. */
  private newest = -1;

  constructor(
    private readonly sfreq: number,
    highest: number,
    readonly columns: number,
  ) {
    this.spectrum = new Spectrum(sfreq, highest, COLUMN_SECONDS);
    this.freqs = this.spectrum.freqs;
    this.values = new Float64Array(columns * this.freqs.length).fill(Number.NaN);
  }

  /** Add the columns that are complete since the last call; false if there is none. */
  follow(ring: RingBuffer, channel: number): boolean {
    if (ring !== this.ring) this.newest = -1; // another epoch begins at index 0 again
    this.ring = ring;
    const complete = Math.floor((ring.newest + 1) / this.sfreq) - 1;
    const added = Math.min(this.columns, complete - this.newest);
    if (added <= 0) return false;
    const { length } = this.freqs;
    this.values.copyWithin(0, added * length);
    for (let back = added - 1; back >= 0; back--) {
      const at = (this.columns - 1 - back) * length;
      const end = Math.round((complete - back + 1) * this.sfreq) - 1;
      this.spectrum.measure(ring, channel, this.values.subarray(at, at + length), end);
    }
    this.newest = complete;
    return true;
  }

  /** Values of the darkest and the brightest colour, dB; null without values. */
  colourRange(): [number, number] | null {
    const found = this.values.filter((value) => !Number.isNaN(value)).sort();
    if (found.length === 0) return null;
    const at = (share: number): number => found[Math.floor(share * (found.length - 1))]!;
    return [at(DARKEST), Math.max(at(DARKEST) + 1, at(BRIGHTEST))];
  }
}
