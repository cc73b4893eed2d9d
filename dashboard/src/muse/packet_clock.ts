/**
 * Indices and even timestamps from a headset's packet numbers.
 *
 * The same method as drivers/timing/packet_counter.py, which explains it, for a headset whose packets
 * all have the same length: the numbers show how many samples were lost; reception times show if the
 * numbers wrapped or restarted meanwhile; each timestamp lies on a slowly adapting line through the
 * reception times.
 */
import type { JoinedBlock } from './block_joiner';
import type { Sensor } from './packets';

/** Consecutive samples, without a gap; `data` is time-major. */
export interface Chunk {
  data: Float32Array;
  /** Seconds on the page's clock. */
  timestamps: Float64Array;
  /** Index of the first sample; lost samples are counted. */
  first: number;
}

/** Largest difference between clock and counter, seconds, beyond which the clock is right. */
const MAX_DISAGREEMENT = 1;
/**
 * Time for which late samples must stay equally late, as they arrive, before a loss is counted that
 * the counter does not show, seconds.
 */
const HOLD_SECONDS = 0.5;
/**
 * Longest pause between two arrivals in that time, seconds: a burst whose reader is stopped for a
 * moment gets late again, and that alone looks like samples that stay equally late.
 */
const MAX_PAUSE = HOLD_SECONDS / 2;
/** Decrease of the delay within `HOLD_SECONDS` if a burst is catching up, seconds. */
const SETTLED_SECONDS = 0.025;
/** Longest time for a burst to catch up, seconds. */
const MAX_HOLD_SECONDS = 10;
/** Memory of the line, seconds. */
const MEMORY_SECONDS = 10;
/** Weight of the nominal rate at the start, as a time of observation, seconds. */
const START_SECONDS = 0.25;
/** Limit for the deviation of one reception from the line, seconds. */
const MAX_DEVIATION = 0.05;
/** Largest relative difference between a headset's rate and the nominal one. */
const MAX_RATE_ERROR = 0.02;
/** Least number of samples for a duration above. */
const LEAST = 8;

interface Sample {
  index: number;
  /** Time of reception, or the timestamp once it is decided, seconds. */
  stamp: number;
  row: Float32Array;
}

/** Converter of numbered blocks to chunks with indices and even timestamps, which grow strictly. */
export class PacketClock {
  private readonly cycle: number;
  private readonly limit: number;
  private readonly line: ReceptionLine;
  private readonly hold: number;
  /** Index of the last sample that was numbered. */
  private last = 0;
  private position: number | null = null;
  private held: (Sample & { late: number })[] = [];
  private decided: Sample[] = [];

  constructor(private readonly sensor: Sensor) {
    this.cycle = sensor.nNumbers * sensor.nTimes;
    this.limit = Math.min(this.cycle / sensor.sfreq / 2, MAX_DISAGREEMENT);
    this.line = new ReceptionLine(sensor.sfreq);
    this.hold = Math.max(LEAST, Math.round(HOLD_SECONDS * sensor.sfreq));
  }

  /** Process the next block; return the samples that are numbered and stamped by now. */
  push({ number, stamp, values }: JoinedBlock): Chunk[] {
    const { nTimes, sfreq } = this.sensor;
    const width = values.length / nTimes;
    for (let time = 0; time < nTimes; time++) {
      const row = values.subarray(time * width, (time + 1) * width);
      this.take(number * nTimes + time, stamp - (nTimes - 1 - time) / sfreq, row);
    }
    return this.emit();
  }

  /** Decide about the samples that are still held, and return them. */
  flush(): Chunk[] {
    if (this.held.length) this.release(this.uncounted());
    return this.emit();
  }

  /** `position`: place of the sample in a cycle of numbers. */
  private take(position: number, stamp: number, row: Float32Array): void {
    let index = this.last + this.advance(position);
    let late = stamp - this.line.at(index, stamp);
    if (late < -MAX_DISAGREEMENT) {
      // Received before it was due: the counter was restarted.
      const elapsed = stamp - this.line.at(this.last, stamp);
      index = this.last + Math.max(1, Math.round(elapsed * this.sensor.sfreq));
      late = stamp - this.line.at(index, stamp);
    }
    this.last = index;
    if (late > this.limit) {
      this.held.push({ index, stamp, row, late });
      if (this.settled()) this.release(this.uncounted());
      return;
    }
    this.release(0);
    this.decide(index, stamp, row);
  }

  /** Number of samples since the last one, this one included; 0 for the first. */
  private advance(position: number): number {
    const before = this.position;
    this.position = position;
    if (before === null) return 0;
    return ((position - before - 1 + this.cycle) % this.cycle) + 1;
  }

  /** True if the held samples stay equally late, or had enough time to catch up. */
  private settled(): boolean {
    const { hold, held, sensor } = this;
    if (held.length >= Math.round(MAX_HOLD_SECONDS * sensor.sfreq)) return true;
    let recent = held.slice(-2 * hold);
    const since = recent.at(-1)!.stamp - HOLD_SECONDS;
    // Not long enough yet, or twice as fast as they were taken.
    if (recent[0]!.stamp > since) return false;
    recent = recent.filter((sample) => sample.stamp >= since);
    const arrivals = [since, ...recent.map((sample) => sample.stamp).sort((a, b) => a - b)];
    if (arrivals.some((at, k) => k > 0 && at - arrivals[k - 1]! > MAX_PAUSE)) return false;
    const late = recent.map((sample) => sample.late);
    const half = late.length >> 1;
    return median(late.slice(0, half)) - median(late.slice(half)) <= SETTLED_SECONDS;
  }

  /** Samples lost before the held ones that the counter does not show. */
  private uncounted(): number {
    const { hold, held, sensor } = this;
    const late = median(held.slice(-hold).map((sample) => sample.late)) * sensor.sfreq;
    return Math.round(late / this.cycle) * this.cycle || Math.round(late);
  }

  private release(uncounted: number): void {
    for (const { index, stamp, row } of this.held) this.decide(index + uncounted, stamp, row);
    this.held = [];
    this.last += uncounted;
  }

  private decide(index: number, stamp: number, row: Float32Array): void {
    this.decided.push({ index, stamp: this.line.follow(index, stamp), row });
  }

  /** Return the decided samples, cut at the gaps. */
  private emit(): Chunk[] {
    const { decided } = this;
    this.decided = [];
    const chunks: Chunk[] = [];
    for (let start = 0, stop = 0; start < decided.length; start = stop) {
      stop = start + 1;
      while (stop < decided.length && decided[stop]!.index === decided[stop - 1]!.index + 1) stop++;
      chunks.push(chunkOf(decided.slice(start, stop)));
    }
    return chunks;
  }
}

function chunkOf(samples: readonly Sample[]): Chunk {
  const width = samples[0]!.row.length;
  const data = new Float32Array(samples.length * width);
  samples.forEach(({ row }, time) => data.set(row, time * width));
  const timestamps = Float64Array.from(samples, ({ stamp }) => stamp);
  return { data, timestamps, first: samples[0]!.index };
}

/** Join chunks that follow each other without a gap. */
export function mergeChunks(chunks: readonly Chunk[]): Chunk[] {
  const merged: Chunk[] = [];
  for (const chunk of chunks) {
    const last = merged.at(-1);
    if (last && last.first + last.timestamps.length === chunk.first)
      merged[merged.length - 1] = {
        data: Float32Array.of(...last.data, ...chunk.data),
        timestamps: Float64Array.of(...last.timestamps, ...chunk.timestamps),
        first: last.first,
      };
    else merged.push(chunk);
  }
  return merged;
}

/** A line of timestamps over the index. */
class ReceptionLine {
  private readonly nominal: number;
  private readonly most: number;
  private n: number;
  private period: number;
  private index = 0;
  private time: number | null = null;

  constructor(sfreq: number) {
    this.nominal = this.period = 1 / sfreq;
    this.most = Math.max(LEAST, Math.round(MEMORY_SECONDS * sfreq));
    this.n = Math.max(LEAST, Math.round(START_SECONDS * sfreq));
  }

  /** Timestamp expected at an index, or `otherwise` before the first sample. */
  at(index: number, otherwise: number): number {
    return this.time === null ? otherwise : this.time + (index - this.index) * this.period;
  }

  /** Timestamp of a sample received at `stamp`; moves the line towards it. */
  follow(index: number, stamp: number): number {
    if (this.time === null) {
      [this.time, this.index] = [stamp, index];
      return stamp;
    }
    const { n, nominal } = this;
    const expected = this.at(index, stamp);
    const error = clamp(stamp - expected, -MAX_DEVIATION, MAX_DEVIATION);
    this.n = Math.min(n + 1, this.most);
    const period = this.period + (6 / ((n + 1) * (n + 2))) * error;
    this.period = clamp(period, (1 - MAX_RATE_ERROR) * nominal, (1 + MAX_RATE_ERROR) * nominal);
    const earliest = this.time + ((index - this.index) * nominal) / 4;
    const correction = ((2 * (2 * n + 1)) / ((n + 1) * (n + 2))) * error;
    [this.time, this.index] = [Math.max(expected + correction, earliest), index];
    return this.time;
  }
}

const clamp = (value: number, low: number, high: number): number =>
  Math.min(Math.max(value, low), high);

/** Median of at least one value. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
