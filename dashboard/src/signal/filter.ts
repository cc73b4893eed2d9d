/**
 * Display filters: a mains notch, or a 1-40 Hz band-pass with notches at 50 and 60 Hz. Only the
 * drawing uses them.
 *
 * Second-order sections of Bristow-Johnson's Audio EQ Cookbook (bilinear transform), in transposed
 * direct form II. Causal, so that a sample on the screen never changes.
 */
import { RingBuffer } from './ring_buffer';

const LOW_HZ = 1;
const HIGH_HZ = 40;
const MAINS_HZ = [50, 60] as const;
/** Q of a second-order Butterworth filter. */
const BUTTERWORTH_Q = Math.SQRT1_2;
/** 5 Hz wide at 50 Hz: mains frequency varies by tenths, and a narrower notch rings longer. */
const NOTCH_Q = 10;

/** Coefficients b0, b1, b2, a1, a2; a0 is 1. */
export type Section = readonly [number, number, number, number, number];

type Kind = 'high-pass' | 'low-pass' | 'notch';

function section(kind: Kind, hz: number, q: number, sfreq: number): Section {
  const w = (2 * Math.PI * hz) / sfreq;
  const [cos, alpha] = [Math.cos(w), Math.sin(w) / (2 * q)];
  const a0 = 1 + alpha;
  const b: Record<Kind, readonly [number, number, number]> = {
    'high-pass': [(1 + cos) / 2, -1 - cos, (1 + cos) / 2],
    'low-pass': [(1 - cos) / 2, 1 - cos, (1 - cos) / 2],
    notch: [1, -2 * cos, 1],
  };
  const [b0, b1, b2] = b[kind];
  return [b0 / a0, b1 / a0, b2 / a0, (-2 * cos) / a0, (1 - alpha) / a0];
}

/** A band-pass with notches, or one mains frequency to take out with its second harmonic. */
export type DisplayFilter = 'band' | (typeof MAINS_HZ)[number];

/** Mains frequencies that can be taken out at a sampling rate. */
export function mainsOf(sfreq: number): (typeof MAINS_HZ)[number][] {
  return MAINS_HZ.filter((hz) => isBelowNyquist(hz, sfreq));
}

/** Whether a filter's frequency is far enough below the Nyquist frequency. */
function isBelowNyquist(hz: number, sfreq: number): boolean {
  return hz < 0.45 * sfreq;
}

/** Sections for a sampling rate, without those too close to its Nyquist frequency. */
export function displaySections(kind: DisplayFilter, sfreq: number): Section[] {
  const fits = (hz: number): boolean => isBelowNyquist(hz, sfreq);
  const notches = (frequencies: readonly number[]): Section[] =>
    frequencies.filter(fits).map((hz) => section('notch', hz, NOTCH_Q, sfreq));
  if (kind !== 'band') return notches([kind, 2 * kind]);
  return [
    section('high-pass', LOW_HZ, BUTTERWORTH_Q, sfreq),
    ...(fits(HIGH_HZ) ? [section('low-pass', HIGH_HZ, BUTTERWORTH_Q, sfreq)] : []),
    ...notches(MAINS_HZ),
  ];
}

/** Gain at `hz`; 1 passes everything. */
export function gain(sections: readonly Section[], hz: number, sfreq: number): number {
  const w = (2 * Math.PI * hz) / sfreq;
  const size = (c0: number, c1: number, c2: number): number =>
    Math.hypot(
      c0 + c1 * Math.cos(w) + c2 * Math.cos(2 * w),
      c1 * Math.sin(w) + c2 * Math.sin(2 * w),
    );
  return sections.reduce(
    (all, [b0, b1, b2, a1, a2]) => all * (size(b0, b1, b2) / size(1, a1, a2)),
    1,
  );
}

/** Filter of one channel. After a gap it restarts at the first sample's value. */
class ChannelFilter {
  private readonly states: Float64Array;
  private offset = Number.NaN;

  constructor(private readonly sections: readonly Section[]) {
    this.states = new Float64Array(2 * sections.length);
  }

  step(value: number): number {
    if (Number.isNaN(value)) {
      this.offset = Number.NaN;
      return value;
    }
    if (Number.isNaN(this.offset)) {
      this.offset = value;
      this.states.fill(0);
    }
    let x = value - this.offset; // without this an electrode offset of 100 mV rings for seconds
    for (let s = 0; s < this.sections.length; s++) {
      const [b0, b1, b2, a1, a2] = this.sections[s]!;
      const y = b0 * x + this.states[2 * s]!;
      this.states[2 * s] = b1 * x - a1 * y + this.states[2 * s + 1]!;
      this.states[2 * s + 1] = b2 * x - a2 * y;
      x = y;
    }
    return x;
  }
}

/** Second ring buffer with the filtered samples of `source`. */
export class FilteredBuffer {
  readonly ring: RingBuffer;
  private readonly filters: ChannelFilter[];
  private readonly column: Float32Array;
  private readonly rows: Float32Array;

  constructor(
    readonly source: RingBuffer,
    readonly kind: DisplayFilter,
    sfreq: number,
  ) {
    const { nChannels, capacity } = source;
    const sections = displaySections(kind, sfreq);
    const block = Math.min(capacity, Math.ceil(sfreq));
    this.ring = new RingBuffer(nChannels, capacity);
    this.filters = Array.from({ length: nChannels }, () => new ChannelFilter(sections));
    this.column = new Float32Array(block);
    this.rows = new Float32Array(block * nChannels);
  }

  /** Filter the samples added since the last call, at first the whole buffer. */
  follow(): void {
    const { source, ring } = this;
    const next = ring.newest < 0 ? source.oldest : ring.newest + 1;
    if (source.oldest > next) for (const filter of this.filters) filter.step(Number.NaN);
    for (let first = Math.max(next, source.oldest); first <= source.newest;)
      first += this.take(first, Math.min(this.column.length, source.newest + 1 - first));
  }

  /** Filter `count` samples starting at index `first`. */
  private take(first: number, count: number): number {
    const n = this.filters.length;
    for (let c = 0; c < n; c++) {
      // A full block is read up to its end; samples before `first` are ignored.
      this.source.read(c, this.column, first + count - 1);
      const filter = this.filters[c]!;
      for (let i = 0, from = this.column.length - count; i < count; i++)
        this.rows[i * n + c] = filter.step(this.column[from + i]!);
    }
    this.ring.write(first, this.rows, count);
    return count;
  }
}
