import uPlot from 'uplot';
import type { MarkerMessage, StreamInfo } from 'mimamba-client';
import type { RingBuffer } from '../signal/ring_buffer';
import { type Label, assignRows } from './label_rows';
import { Lanes } from './lanes';
import { FONT } from './line';
import type { Palette } from './palette';

export interface TraceLook {
  palette: Palette;
  /** Half a lane's height, µV; null for automatic. */
  step: number | null;
}

/** Label of a marker in view. */
interface MarkerLabel extends Label {
  marker: MarkerMessage;
  /** True if the label is before the line. */
  left: boolean;
  /** Width that it may have. */
  room: number;
}

/**
 * Plot of a few seconds of signal, one lane per channel.
 *
 * uPlot draws the axes; gaps, lines and markers are drawn on its canvas from preallocated arrays.
 * The x axis is seconds before the right edge.
 */
export class TracePlot {
  private readonly plot: uPlot;
  private readonly lanes: Lanes;
  private ring: RingBuffer | null = null;
  private markers: readonly MarkerMessage[] = [];
  private newest: MarkerMessage | undefined;
  /** Rows of the labels that are drawn. */
  private readonly rows = new WeakMap<MarkerMessage, number>();
  /** Index of the sample at the right edge. */
  private end = -1;
  private dirty = true;

  constructor(
    holder: HTMLElement,
    private readonly info: StreamInfo,
    private readonly seconds: number,
    private readonly look: TraceLook,
  ) {
    this.lanes = new Lanes(info.ch_names.length, Math.ceil(seconds * info.sfreq));
    this.plot = new uPlot(this.options(holder), [[], []], holder);
  }

  /** Half a lane's height, µV. */
  get step(): number {
    return this.lanes.step;
  }

  /** Draw the buffer up to index `end`; false if nothing has changed. */
  draw(ring: RingBuffer, end: number, markers: readonly MarkerMessage[], time: number): boolean {
    const same = ring === this.ring && end === this.end && markers.at(-1) === this.newest;
    if (same && !this.dirty) return false;
    this.dirty = false;
    this.ring = ring;
    this.end = end;
    this.markers = markers;
    this.newest = markers.at(-1);
    this.lanes.fill(ring, end, this.look.step, time);
    this.plot.redraw(false, false);
    return true;
  }

  /** Redraw in the next frame, after a change of look or size. */
  refresh(): void {
    this.dirty = true;
  }

  resize(width: number, height: number): void {
    this.plot.setSize({ width, height });
    this.refresh();
  }

  destroy(): void {
    this.plot.destroy();
  }

  private options(holder: HTMLElement): uPlot.Options {
    const { ch_names: names } = this.info;
    const n = names.length;
    const stroke = (): string => this.look.palette.soft;
    const grid = { stroke: () => this.look.palette.line, width: 1 };
    return {
      width: holder.clientWidth,
      height: holder.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      padding: [4, 12, 0, 0],
      scales: {
        x: { time: false, range: [-this.seconds, 0] },
        y: { range: [0, n] },
      },
      axes: [
        {
          stroke,
          grid,
          font: FONT,
          size: 28,
          ticks: { show: false },
          splits: () => timeTicks(this.seconds),
          values: (_, splits) => splits.map((second) => (second === 0 ? '0 s' : `−${-second} s`)),
        },
        {
          stroke: () => this.look.palette.ink,
          grid,
          font: `600 ${FONT}`,
          size: 52,
          gap: 6,
          ticks: { show: false },
          splits: () => names.map((_, c) => n - c - 0.5),
          values: () => [...names],
        },
      ],
      series: [
        {},
        { show: false }, // a scale needs a series
      ],
      hooks: { draw: [(u) => this.paint(u)] },
    };
  }

  private paint(u: uPlot): void {
    const { ring, lanes } = this;
    if (!ring) return;
    const { ctx, bbox } = u;
    ctx.save();
    ctx.fillStyle = this.look.palette.gap;
    lanes.gaps(ring, this.drawGap);
    ctx.strokeStyle = this.look.palette.trace;
    // Without a GPU, a line of 1 pixel takes a fifth of the time of one of 1.25 pixels: 17 instead
    // of 74 % of the main thread (4 channels, 8 s at 256 Hz, headless).
    ctx.lineWidth = 1;

    for (let c = 0; c < lanes.heights.length; c++) {
      ctx.beginPath();
      lanes.trace(ctx, c, bbox);
      ctx.stroke();
    }
    ctx.restore();
    this.drawMarkers(u);
  }

  /** Shade a gap, from the last sample before it to the first after it. */
  private readonly drawGap = (from: number, to: number): void => {
    const { ctx, bbox } = this.plot;
    const unit = bbox.width / this.lanes.length;
    ctx.fillRect(bbox.left + from * unit, bbox.top, (to + 1 - from) * unit, bbox.height);
  };

  private drawMarkers(u: uPlot): void {
    if (this.markers.length === 0) return;
    const { ctx } = u;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = this.look.palette.marker;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.font = `600 ${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textBaseline = 'top';
    const labels: MarkerLabel[] = [];
    for (const marker of this.markers) {
      const second = (marker.index - this.end) / this.info.sfreq;
      if (second < -this.seconds || second > 0) continue;
      const x = u.valToPos(second, 'x', true);
      ctx.beginPath();
      ctx.moveTo(x, u.bbox.top);
      ctx.lineTo(x, u.bbox.top + u.bbox.height);
      ctx.stroke();
      // The label is on the side with more room, and is squeezed if it does not fit.
      const before = x - u.bbox.left;
      const after = u.bbox.width - before;
      const gap = 4 * devicePixelRatio;
      const left = before > after;
      const room = Math.max(before, after) - gap;
      const width = Math.min(room, ctx.measureText(marker.label).width);
      const [from, to] = left ? [x - gap - width, x - gap] : [x + gap, x + gap + width];
      labels.push({ marker, left, room, from, to, row: this.rows.get(marker) ?? null });
    }
    // They are in the order in which they came, and one may have been set for an earlier moment.
    labels.reverse().sort((a, b) => b.marker.index - a.marker.index);
    assignRows(labels, ROWS);
    for (const { marker, left, room, from, to, row } of labels) {
      if (row === null) {
        this.rows.delete(marker);
        continue;
      }
      this.rows.set(marker, row);
      ctx.textAlign = left ? 'right' : 'left';
      const y = u.bbox.top + 2 + row * 14 * devicePixelRatio;
      ctx.fillText(marker.label, left ? to : from, y, room);
    }
    ctx.restore();
  }
}

/** Rows of markers' labels at most: more would hide the signal. */
const ROWS = 4;

/** About five round ticks, including the right edge. */
function timeTicks(seconds: number): number[] {
  const step = Math.max(1, seconds / 4);
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => -step * i).reverse();
}
