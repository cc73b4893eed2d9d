import type { RingBuffer } from '../signal/ring_buffer';
import { type Spread, chooseStep, spread } from './scale';

/** Interval between changes of the automatic scale. */
const RESCALE_MS = 1000;
/** From this many samples per pixel, only the minimum and maximum of each bin are drawn. */
const ENVELOPE_SAMPLES = 3;

/** Area of the lanes on a canvas, device pixels. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The part of a canvas context that is used. */
export type Pen = Pick<CanvasRenderingContext2D, 'moveTo' | 'lineTo'>;

/**
 * A window of samples with one lane per channel, without each channel's mean.
 *
 * All arrays are allocated once; a frame only writes to them.
 */
export class Lanes {
  /** Half a lane's height, µV. */
  step = 100;
  /** Index of the window's first sample. */
  first = 0;
  /** Distances from the top of the first lane, in lanes; NaN for missing samples. */
  readonly heights: Float32Array[];
  private readonly raw: Float32Array;
  private readonly spreads: Spread[];
  private rescaled = -Infinity;

  /** `length` of the window, samples. */
  constructor(
    nChannels: number,
    readonly length: number,
  ) {
    this.heights = Array.from({ length: nChannels }, () => new Float32Array(length).fill(NaN));
    this.spreads = this.heights.map(() => ({ mean: 0, rms: 0 }));
    this.raw = new Float32Array(length);
  }

  /** Load the window that ends at index `end`. `step`: scale in µV, or null for automatic. */
  fill(ring: RingBuffer, end: number, step: number | null, time: number): void {
    this.first = end - this.length + 1;
    this.step = step ?? this.step;
    this.measure(ring, end);
    if (step !== null || time - this.rescaled <= RESCALE_MS) return;
    this.rescaled = time;
    const before = this.step;
    this.step = chooseStep(this.spreads, before);
    if (this.step !== before) this.measure(ring, end);
  }

  /** Draw one channel's line, with breaks at lost samples. */
  trace(pen: Pen, channel: number, box: Box): void {
    const bin = Math.floor(this.length / box.width);
    if (bin < ENVELOPE_SAMPLES) this.line(pen, this.heights[channel]!, box);
    else this.envelope(pen, this.heights[channel]!, box, bin);
  }

  /** Call `found` for each gap: positions in the window, from `from` up to, but not including, `to`. */
  gaps(ring: RingBuffer, found: (from: number, to: number) => void): void {
    const lane = this.heights[0];
    if (!lane) return;
    const stop = Math.min(this.length, ring.newest - this.first + 1);
    let from = -1;
    for (let i = Math.max(0, ring.oldest - this.first); i <= stop; i++) {
      const lost = i < stop && Number.isNaN(lane[i]!);
      if (lost && from < 0) from = i;
      if (lost || from < 0) continue;
      found(from, i);
      from = -1;
    }
  }

  private measure(ring: RingBuffer, end: number): void {
    const unit = 0.5 / this.step;
    for (let c = 0; c < this.heights.length; c++) {
      ring.read(c, this.raw, end);
      const { mean } = spread(this.raw, this.spreads[c]!);
      const lane = this.heights[c]!;
      const centre = c + 0.5;
      for (let i = 0; i < lane.length; i++) {
        const height = (this.raw[i]! - mean) * unit;
        // Values off the scale are clipped to the lane.
        lane[i] = centre - (height > 0.5 ? 0.5 : height < -0.5 ? -0.5 : height);
      }
    }
  }

  private line(pen: Pen, lane: Float32Array, box: Box): void {
    const right = box.width / this.length;
    const down = box.height / this.heights.length;
    let drawing = false;
    for (let i = 0; i < lane.length; i++) {
      const height = lane[i]!;
      if (Number.isNaN(height)) {
        drawing = false;
        continue;
      }
      if (drawing) pen.lineTo(box.left + (i + 1) * right, box.top + height * down);
      else pen.moveTo(box.left + (i + 1) * right, box.top + height * down);
      drawing = true;
    }
  }

  /**
   * Draw the minimum and maximum of each bin, in time order.
   *
   * Bins start at sample indices that are multiples of `bin`, so that a peak is in the same bin in
   * every frame and does not shimmer.
   */
  private envelope(pen: Pen, lane: Float32Array, box: Box, bin: number): void {
    const right = box.width / this.length;
    const down = box.height / this.heights.length;
    let drawing = false;
    for (let from = -(((this.first % bin) + bin) % bin); from < lane.length; from += bin) {
      let least = -1;
      let most = -1;
      let whole = true;
      const to = Math.min(from + bin, lane.length);
      for (let i = Math.max(from, 0); i < to; i++) {
        const height = lane[i]!;
        if (Number.isNaN(height)) whole = false;
        else {
          if (least < 0 || height < lane[least]!) least = i;
          if (most < 0 || height > lane[most]!) most = i;
        }
      }
      if (least >= 0) {
        const one = Math.min(least, most);
        const other = Math.max(least, most);
        const x = box.left + (one + 1) * right;
        if (drawing && whole) pen.lineTo(x, box.top + lane[one]! * down);
        else pen.moveTo(x, box.top + lane[one]! * down);
        pen.lineTo(box.left + (other + 1) * right, box.top + lane[other]! * down);
      }
      drawing = whole;
    }
  }
}
