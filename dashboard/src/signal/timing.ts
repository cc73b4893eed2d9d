/** Seconds over which the rate is measured. */
const RATE_SECONDS = 10;
/** Seconds of samples without which a rate says nothing. */
const LEAST_SECONDS = 2;
/** Seconds after which a delay is forgotten. */
const DELAY_SECONDS = 2;
/** More than are drawn in that time at 120 frames a second. */
const DELAYS_KEPT = 256;

/** How fast samples come, by their own stamps: lost ones lower it, a burst does not raise it. */
export class Rate {
  private heard: { stamp: number; count: number }[] = [];

  /** `count` samples came, the newest of them stamped `stamp`. */
  push(stamp: number, count: number): void {
    this.heard.push({ stamp, count: (this.heard.at(-1)?.count ?? 0) + count });
    while (this.heard[0]!.stamp < stamp - RATE_SECONDS) this.heard.shift();
  }

  /** Hz over the last 10 s; null where fewer than 2 s are there. */
  get hz(): number | null {
    const [from, to] = [this.heard[0], this.heard.at(-1)];
    if (!from || !to || to.stamp - from.stamp < LEAST_SECONDS) return null;
    return (to.count - from.count) / (to.stamp - from.stamp);
  }
}

/** How long the newest samples took to the frames that drew them. */
export class Delays {
  private readonly times = new Float64Array(DELAYS_KEPT).fill(-Infinity);
  private readonly delays = new Float64Array(DELAYS_KEPT);
  private place = 0;

  /** A frame at page time `time` drew a sample that was `delay` seconds old. */
  push(time: number, delay: number): void {
    this.times[this.place] = time;
    this.delays[this.place] = delay;
    this.place = (this.place + 1) % DELAYS_KEPT;
  }

  /** The median over the last 2 s, seconds; null where nothing was drawn in that time. */
  median(time: number): number | null {
    const recent = this.delays.filter((_, i) => this.times[i]! > time - DELAY_SECONDS).sort();
    return recent.length ? recent[recent.length >> 1]! : null;
  }
}
