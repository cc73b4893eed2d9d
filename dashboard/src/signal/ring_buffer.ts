/**
 * The newest samples of one epoch, by channel, in typed arrays that are allocated once.
 *
 * A sample's place is its index modulo the capacity, so lost samples are places that hold NaN:
 * what was never received is never joined by a line.
 */
export class SampleRing {
  /** Index of the first sample ever written; what lies before it is not a gap. */
  oldest = -1;
  /** Index of the newest sample; -1 while there is none. */
  newest = -1;
  private readonly channels: Float32Array[];

  constructor(
    readonly nChannels: number,
    readonly capacity: number,
  ) {
    this.channels = Array.from({ length: nChannels }, () =>
      new Float32Array(capacity).fill(Number.NaN),
    );
  }

  /** Index of the oldest sample that is still there; -1 while there is none. */
  get kept(): number {
    return Math.max(this.oldest, this.newest - this.capacity + 1);
  }

  /**
   * Take `count` time-major samples (n_times x n_channels, µV), the first of which has index
   * `first`.
   *
   * Samples up to the newest one are known already and are left out.
   */
  write(first: number, data: Float32Array, count = Math.floor(data.length / this.nChannels)): void {
    const end = first + count;
    if (end <= this.newest + 1) return;
    if (this.newest < 0) this.oldest = first;
    else this.blank(this.newest + 1, first);
    const start = Math.max(first, this.newest + 1, end - this.capacity);
    for (let c = 0; c < this.nChannels; c++) {
      const channel = this.channels[c]!;
      let place = start % this.capacity;
      for (let index = start; index < end; index++) {
        channel[place] = data[(index - first) * this.nChannels + c]!;
        if (++place === this.capacity) place = 0;
      }
    }
    this.newest = end - 1;
  }

  /**
   * Copy the `into.length` samples of a channel up to index `end`, oldest first; NaN where there is
   * none, or none any more.
   */
  read(channel: number, into: Float32Array, end = this.newest): void {
    const values = this.channels[channel]!;
    const first = end - into.length + 1;
    const from = Math.max(first, this.newest - this.capacity + 1, 0);
    const to = Math.min(end, this.newest);
    if (this.newest < 0 || from > to) {
      into.fill(Number.NaN);
      return;
    }
    into.fill(Number.NaN, 0, from - first);
    into.fill(Number.NaN, to - first + 1);
    let place = from % this.capacity;
    for (let i = from - first; i <= to - first; i++) {
      into[i] = values[place]!;
      if (++place === this.capacity) place = 0;
    }
  }

  /** Lost samples: the indices `from` up to but without `to`. */
  private blank(from: number, to: number): void {
    if (to - from >= this.capacity) for (const channel of this.channels) channel.fill(Number.NaN);
    else
      for (let index = from; index < to; index++)
        for (const channel of this.channels) channel[index % this.capacity] = Number.NaN;
  }
}
