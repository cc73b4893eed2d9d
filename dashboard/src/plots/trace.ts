import uPlot from 'uplot';
import type { Marker, Stream } from '../protocol';
import type { SampleRing } from '../ring';
import { FONT, brokenLine } from './line';
import type { Palette } from './palette';
import { chooseStep, spread } from './scale';

/** The automatic scale is looked at once a second. */
const RESCALE_MS = 1000;

export interface TraceLook {
  palette: Palette;
  /** Half a lane's height, µV; null means automatic. */
  step: number | null;
}

/**
 * The newest seconds of every channel, one lane each, in one uPlot.
 *
 * All arrays are allocated once, for one frame's drawing they are only written to. The x axis is
 * seconds before the newest sample; each channel's mean over what is shown is taken off.
 */
export class TracePlot {
  /** Half a lane's height now, µV. */
  step = 100;
  private readonly plot: uPlot;
  private readonly data: uPlot.AlignedData;
  private readonly lanes: Float32Array[];
  private readonly rms: number[];
  private readonly raw: Float32Array;
  private ring: SampleRing | null = null;
  private markers: readonly Marker[] = [];
  private drawn = -1;
  private rescaled = 0;

  constructor(
    holder: HTMLElement,
    private readonly info: Stream,
    private readonly seconds: number,
    private readonly look: TraceLook,
  ) {
    const length = Math.ceil(seconds * info.sfreq);
    const xs = Float64Array.from({ length }, (_, i) => (i + 1 - length) / info.sfreq);
    this.lanes = info.ch_names.map(() => new Float32Array(length).fill(Number.NaN));
    this.rms = info.ch_names.map(() => 0);
    this.raw = new Float32Array(length);
    this.data = [xs, ...this.lanes];
    this.plot = new uPlot(this.options(holder), this.data, holder);
  }

  /** Draw what the ring holds, if it holds anything new. */
  draw(ring: SampleRing, markers: readonly Marker[], time: number): void {
    if (ring === this.ring && ring.newest === this.drawn) return;
    this.ring = ring;
    this.drawn = ring.newest;
    this.markers = markers;
    this.fill(ring, time);
    this.plot.setData(this.data, false); // the same arrays: it forgets the paths built of them
    this.plot.redraw(false, false);
  }

  /** Draw again although nothing came: the look or the size changed. */
  refresh(): void {
    this.drawn = -2;
  }

  resize(width: number, height: number): void {
    this.plot.setSize({ width, height });
    this.refresh();
  }

  destroy(): void {
    this.plot.destroy();
  }

  private fill(ring: SampleRing, time: number): void {
    const n = this.lanes.length;
    const rescale = time - this.rescaled > RESCALE_MS;
    for (let c = 0; c < n; c++) {
      ring.read(c, this.raw);
      const { mean, rms } = spread(this.raw);
      this.rms[c] = rms;
      const lane = this.lanes[c]!;
      const centre = n - c - 0.5;
      const unit = 0.5 / this.step;
      for (let i = 0; i < lane.length; i++) {
        const height = (this.raw[i]! - mean) * unit;
        // What is off the scale runs along the lane's edge and leaves the other lanes alone.
        lane[i] = centre + (height > 0.5 ? 0.5 : height < -0.5 ? -0.5 : height);
      }
    }
    if (!rescale && this.look.step === null) return;
    const step = this.look.step ?? chooseStep(this.rms, this.step);
    this.rescaled = time;
    if (step === this.step) return;
    this.step = step;
    this.fill(ring, time);
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
          splits: () => evenSeconds(this.seconds),
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
        ...names.map((name) => ({
          label: name,
          stroke: () => this.look.palette.trace,
          // Without a GPU, a hairline is drawn in a fifth of the time of a line of 1.25 pixels: the
          // page's main thread was busy 17 % of the time, not 74 (4 channels, 8 s at 256 Hz, headless).
          width: 1,
          paths: brokenLine,
          points: { show: false },
        })),
      ],
      hooks: { drawAxes: [(u) => this.drawGaps(u)], draw: [(u) => this.drawMarkers(u)] },
    };
  }

  /** Lost samples as bands behind the traces. */
  private drawGaps(u: uPlot): void {
    const ring = this.ring;
    const lane = this.lanes[0];
    if (!ring || !lane) return;
    const { ctx } = u;
    const unit = u.bbox.width / lane.length;
    const oldest = Math.max(0, lane.length - 1 - (ring.newest - ring.oldest));
    ctx.save();
    ctx.fillStyle = this.look.palette.gap;
    for (let i = oldest, from = -1; i < lane.length; i++) {
      const lost = Number.isNaN(lane[i]!);
      if (lost && from < 0) from = i;
      if (lost || from < 0) continue;
      ctx.fillRect(u.bbox.left + from * unit, u.bbox.top, (i - from) * unit, u.bbox.height);
      from = -1;
    }
    ctx.restore();
  }

  private drawMarkers(u: uPlot): void {
    const { ring } = this;
    if (!ring || this.markers.length === 0) return;
    const { ctx } = u;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = this.look.palette.marker;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.font = `600 ${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textBaseline = 'top';
    for (const { index, label } of this.markers) {
      const second = (index - ring.newest) / this.info.sfreq;
      if (second < -this.seconds || second > 0) continue;
      const x = u.valToPos(second, 'x', true);
      ctx.beginPath();
      ctx.moveTo(x, u.bbox.top);
      ctx.lineTo(x, u.bbox.top + u.bbox.height);
      ctx.stroke();
      // The words stand on the side with more room, and are narrowed where even that is too little.
      const before = x - u.bbox.left;
      const after = u.bbox.width - before;
      const gap = 4 * devicePixelRatio;
      ctx.textAlign = before > after ? 'right' : 'left';
      ctx.fillText(
        label,
        before > after ? x - gap : x + gap,
        u.bbox.top + 2,
        Math.max(before, after) - gap,
      );
    }
    ctx.restore();
  }
}

function evenSeconds(seconds: number): number[] {
  const splits = [];
  for (let second = -2 * Math.floor(seconds / 2); second <= 0; second += 2) splits.push(second);
  return splits;
}
