/**
 * The display filter: band-pass 1-40 Hz and notches at 50 and 60 Hz, for the eye alone.
 *
 * Second-order sections after Bristow-Johnson's Audio EQ Cookbook (bilinear transform), in
 * transposed direct form II: causal, so that a sample on the screen never changes.
 */
import { SampleRing } from './ring_buffer';

const LOW_HZ = 1;
const HIGH_HZ = 40;
const MAINS_HZ = [50, 60] as const;
/** Butterworth's: maximally flat at second order. */
const FLAT = Math.SQRT1_2;
/** 5 Hz wide at 50 Hz: mains wander by tenths, and a narrower notch would ring on. */
const NOTCH_Q = 10;

/** Numerator and denominator, a0 = 1 left out: b0, b1, b2, a1, a2. */
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

/** The filter's sections at a rate; those that the rate cannot hold are left out. */
export function displaySections(sfreq: number): Section[] {
  const holds = (hz: number): boolean => hz < 0.45 * sfreq;
  return [
    section('high-pass', LOW_HZ, FLAT, sfreq),
    ...(holds(HIGH_HZ) ? [section('low-pass', HIGH_HZ, FLAT, sfreq)] : []),
    ...MAINS_HZ.filter(holds).map((hz) => section('notch', hz, NOTCH_Q, sfreq)),
  ];
}

/** How much a sine of `hz` is let through: 1 is all of it. */
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

/** One channel's filter. After a gap it starts anew, from rest at the first sample's value. */
class ChannelFilter {
  private readonly states: Float64Array;
  private rest = Number.NaN;

  constructor(private readonly sections: readonly Section[]) {
    this.states = new Float64Array(2 * sections.length);
  }

  step(value: number): number {
    if (Number.isNaN(value)) {
      this.rest = Number.NaN;
      return value;
    }
    if (Number.isNaN(this.rest)) {
      this.rest = value;
      this.states.fill(0);
    }
    let x = value - this.rest; // an offset of 100 mV would ring for seconds; a high-pass drops it
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

/** A ring's samples as they look through the display filter, in a second ring. */
export class FilteredRing {
  readonly ring: SampleRing;
  private readonly filters: ChannelFilter[];
  private readonly column: Float32Array;
  private readonly rows: Float32Array;

  constructor(
    readonly source: SampleRing,
    sfreq: number,
  ) {
    const { nChannels, capacity } = source;
    const sections = displaySections(sfreq);
    const block = Math.min(capacity, Math.ceil(sfreq));
    this.ring = new SampleRing(nChannels, capacity);
    this.filters = Array.from({ length: nChannels }, () => new ChannelFilter(sections));
    this.column = new Float32Array(block);
    this.rows = new Float32Array(block * nChannels);
  }

  /** Filter what came since the last call; at first, all that is there. */
  follow(): void {
    const { source, ring } = this;
    const next = ring.newest < 0 ? source.kept : ring.newest + 1;
    if (source.kept > next) for (const filter of this.filters) filter.step(Number.NaN);
    for (let first = Math.max(next, source.kept); first <= source.newest;)
      first += this.take(first, Math.min(this.column.length, source.newest + 1 - first));
  }

  /** Filter `count` samples from index `first` on. */
  private take(first: number, count: number): number {
    const n = this.filters.length;
    for (let c = 0; c < n; c++) {
      // The block's own length is read, up to its end: what lies before `first` is passed over.
      this.source.read(c, this.column, first + count - 1);
      const filter = this.filters[c]!;
      for (let i = 0, from = this.column.length - count; i < count; i++)
        this.rows[i * n + c] = filter.step(this.column[from + i]!);
    }
    this.ring.write(first, this.rows, count);
    return count;
  }
}
