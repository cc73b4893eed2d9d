/**
 * Ring buffer of one epoch's newest samples: one typed array per channel, allocated once.
 *
 * Sample `index` is stored at `index % capacity`. Lost samples are NaN, so no line is drawn across
 * them.
 */
export class RingBuffer {
  /** Index of the first sample ever written, or -1. Earlier samples are not a gap. */
  start = -1;
  /** Index of the newest sample, or -1. */
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

  /** Index of the oldest sample in the buffer, or -1. */
  get oldest(): number {
    return Math.max(this.start, this.newest - this.capacity + 1);
  }

  /**
   * Add `count` samples (n_times x n_channels, time-major, µV), starting at index `first`.
   *
   * Samples that are in the buffer already are skipped.
   */
  write(first: number, data: Float32Array, count = Math.floor(data.length / this.nChannels)): void {
    const end = first + count;
    if (end <= this.newest + 1) return;
    if (this.newest < 0) this.start = first;
    else this.blank(this.newest + 1, first);
    const start = Math.max(first, this.newest + 1, end - this.capacity);
    for (let c = 0; c < this.nChannels; c++) {
      const channel = this.channels[c]!;
      let slot = start % this.capacity;
      for (let index = start; index < end; index++) {
        channel[slot] = data[(index - first) * this.nChannels + c]!;
        if (++slot === this.capacity) slot = 0;
      }
    }
    this.newest = end - 1;
  }

  /**
   * Copy a channel's `into.length` samples up to index `end`, oldest first; NaN for missing ones.
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
    let slot = from % this.capacity;
    for (let i = from - first; i <= to - first; i++) {
      into[i] = values[slot]!;
      if (++slot === this.capacity) slot = 0;
    }
  }

  /** Mark the samples from index `from` up to, but not including, `to` as lost. */
  private blank(from: number, to: number): void {
    if (to - from >= this.capacity) for (const channel of this.channels) channel.fill(Number.NaN);
    else
      for (let index = from; index < to; index++)
        for (const channel of this.channels) channel[index % this.capacity] = Number.NaN;
  }
}
