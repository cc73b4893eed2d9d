/** Window of the rate, seconds. */
const RATE_SECONDS = 10;
/** Least signal for a rate, seconds. */
const LEAST_SECONDS = 2;
/** Window of the latency, seconds. */
const DELAY_SECONDS = 2;
/** More than the frames in that window at 120 Hz. */
const DELAYS_KEPT = 256;

/** Sampling rate by timestamps: lost samples lower it, a burst after a reconnect does not raise it. */
export class RateMeter {
  private chunks: { stamp: number; count: number }[] = [];

  /** Add a chunk of `count` samples whose newest timestamp is `stamp`. */
  push(stamp: number, count: number): void {
    this.chunks.push({ stamp, count: (this.chunks.at(-1)?.count ?? 0) + count });
    while (this.chunks[0]!.stamp < stamp - RATE_SECONDS) this.chunks.shift();
  }

  /** Hz over the last 10 s; null with less than 2 s of signal. */
  get hz(): number | null {
    const [from, to] = [this.chunks[0], this.chunks.at(-1)];
    if (!from || !to || to.stamp - from.stamp < LEAST_SECONDS) return null;
    return (to.count - from.count) / (to.stamp - from.stamp);
  }
}

/** Time from a sample's timestamp to the frame that drew it. */
export class DisplayLatency {
  private readonly times = new Float64Array(DELAYS_KEPT).fill(-Infinity);
  private readonly delays = new Float64Array(DELAYS_KEPT);
  private next = 0;

  /** Add a frame at page time `time` that drew a sample `delay` seconds old. */
  push(time: number, delay: number): void {
    this.times[this.next] = time;
    this.delays[this.next] = delay;
    this.next = (this.next + 1) % DELAYS_KEPT;
  }

  /** Median over the last 2 s, seconds; null if nothing was drawn. */
  median(time: number): number | null {
    const recent = this.delays.filter((_, i) => this.times[i]! > time - DELAY_SECONDS).sort();
    return recent.length ? recent[recent.length >> 1]! : null;
  }
}
