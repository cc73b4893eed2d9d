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

  /**
   * Take time-major samples (n_times x n_channels, µV), the first of which has index `first`.
   *
   * Samples up to the newest one are known already and are left out.
   */
  write(first: number, data: Float32Array): void {
    const end = first + Math.floor(data.length / this.nChannels);
    if (end <= this.newest + 1) return;
    if (this.newest < 0) this.oldest = first;
    else this.blank(this.newest + 1, first);
    const start = Math.max(first, this.newest + 1, end - this.capacity);
    for (let c = 0; c < this.nChannels; c++) {
      const channel = this.channels[c]!;
      let place = start % this.capacity;
      for (let i = (start - first) * this.nChannels + c; i < data.length; i += this.nChannels) {
        channel[place] = data[i]!;
        if (++place === this.capacity) place = 0;
      }
    }
    this.newest = end - 1;
  }

  /** Copy the newest `into.length` samples of a channel, oldest first, NaN where there is none. */
  read(channel: number, into: Float32Array): void {
    const values = this.channels[channel]!;
    const count = Math.min(into.length, this.capacity);
    into.fill(Number.NaN, 0, into.length - count);
    if (this.newest < 0) {
      into.fill(Number.NaN);
      return;
    }
    let place = (this.newest + 1) % this.capacity;
    place = (place - count + this.capacity) % this.capacity;
    for (let i = into.length - count; i < into.length; i++) {
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
