import uPlot from 'uplot';
import { HISTORY_SECONDS, type Past } from '../history';
import { FONT, brokenLine } from './line';
import type { Palette } from './palette';

/** One dash per label, so that lines differ by more than their colour. */
const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3]];

/** One output's probabilities over the last two minutes, a line for each label in `labels`. */
export class PastPlot {
  private readonly plot: uPlot;

  constructor(
    holder: HTMLElement,
    labels: readonly string[],
    private readonly look: { palette: Palette },
  ) {
    this.plot = new uPlot(this.options(holder, labels), [[], ...labels.map(() => [])], holder);
  }

  draw({ seconds, probabilities }: Past): void {
    this.plot.setData([seconds, ...probabilities], true);
  }

  redraw(): void {
    this.plot.redraw();
  }

  resize(width: number, height: number): void {
    this.plot.setSize({ width, height });
  }

  destroy(): void {
    this.plot.destroy();
  }

  private options(holder: HTMLElement, labels: readonly string[]): uPlot.Options {
    const stroke = (): string => this.look.palette.soft;
    const grid = { stroke: () => this.look.palette.line, width: 1 };
    const ticks = { show: false };
    return {
      width: holder.clientWidth,
      height: holder.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      padding: [6, 26, 0, 0],
      scales: { x: { time: false, range: [-HISTORY_SECONDS, 0] }, y: { range: [0, 1] } },
      axes: [
        {
          stroke,
          grid,
          ticks,
          font: FONT,
          size: 24,
          splits: () => [-120, -60, 0],
          values: () => ['−2 min', '−1 min', 'newest'],
        },
        {
          stroke,
          grid,
          ticks,
          font: FONT,
          size: 48,
          splits: () => [0, 0.5, 1],
          values: () => ['0 %', '50 %', '100 %'],
        },
      ],
      series: [
        {},
        ...labels.map((label, i) => ({
          label,
          stroke: () => this.look.palette.trace,
          width: 2,
          dash: DASHES[i % DASHES.length]!,
          paths: brokenLine,
          points: { show: false },
        })),
      ],
    };
  }
}
