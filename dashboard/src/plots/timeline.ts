import uPlot from 'uplot';
import type { ProbabilityLines } from '../state/timeline';
import { clockTime } from '../text/wording';
import type { Palette } from './palette';
import { probabilityOptions } from './probabilities';

export interface TimelineLook {
  palette: Palette;
  /** Playback position, seconds. */
  position: number;
  /** Positions of the markers, seconds. */
  markers: readonly number[];
}

/** Plot of a whole recording: predictions as lines, markers as ticks, and the playback position. */
export class TimelinePlot {
  private readonly plot: uPlot;

  constructor(
    holder: HTMLElement,
    private readonly length: number,
    { names, seconds, values }: ProbabilityLines,
    private readonly look: TimelineLook,
  ) {
    this.plot = new uPlot(this.options(holder, names), [seconds, ...values], holder);
  }

  /** Redraw after a change of the lines or the look. */
  draw({ seconds, values }: ProbabilityLines): void {
    this.plot.setData([seconds, ...values], false);
    this.plot.redraw(false, false);
  }

  /** Playback position under a point of the page, seconds. */
  positionAt(clientX: number): number {
    const { left, width } = this.plot.over.getBoundingClientRect();
    const share = width > 0 ? (clientX - left) / width : 0;
    return Math.min(1, Math.max(0, share)) * this.length;
  }

  resize(width: number, height: number): void {
    this.plot.setSize({ width, height });
  }

  destroy(): void {
    this.plot.destroy();
  }

  private options(holder: HTMLElement, names: readonly string[]): uPlot.Options {
    const splits = [0, this.length / 2, this.length];
    const times = {
      range: [0, this.length] as [number, number],
      splits,
      values: splits.map(clockTime),
    };
    return {
      ...probabilityOptions(holder, names, this.look, times, { width: 1.5, right: 22 }),
      hooks: { draw: [(u) => this.drawPositions(u)] },
    };
  }

  private drawPositions(u: uPlot): void {
    const { ctx, bbox } = u;
    const line = (second: number, height: number): void => {
      const x = u.valToPos(second, 'x', true);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + height);
      ctx.stroke();
    };
    ctx.save();
    ctx.setLineDash([]);
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.strokeStyle = this.look.palette.marker;
    for (const second of this.look.markers) line(second, bbox.height / 3);
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.strokeStyle = this.look.palette.ink;
    line(this.look.position, bbox.height);
    ctx.restore();
  }
}
