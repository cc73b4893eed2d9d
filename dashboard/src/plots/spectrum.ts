import uPlot from 'uplot';
import { LOWEST_HZ } from '../signal/spectrum';
import { FONT, brokenLine } from './line';
import type { Palette } from './palette';

/** Distance of the grid lines, dB. */
const GRID_DB = 10;

export interface SpectrumLook {
  palette: Palette;
  /** Index of the highlighted channel. */
  highlighted: number;
}

/** Plot of the channels' power density, dB re 1 µV²/Hz, with one channel highlighted. */
export class SpectrumPlot {
  private readonly plot: uPlot;

  constructor(
    holder: HTMLElement,
    private readonly freqs: Float64Array,
    private readonly channels: Float64Array[],
    private readonly look: SpectrumLook,
    private readonly highest: number,
  ) {
    this.plot = new uPlot(this.options(holder), this.data(), holder);
  }

  /** Draw the present values of the channels' arrays. */
  draw(): void {
    this.plot.setData(this.data(), true);
  }

  resize(width: number, height: number): void {
    this.plot.setSize({ width, height });
  }

  destroy(): void {
    this.plot.destroy();
  }

  /** The highlighted channel is repeated as the last series, so that it is drawn on top. */
  private data(): uPlot.AlignedData {
    return [this.freqs, ...this.channels, this.channels[this.look.highlighted]!];
  }

  private options(holder: HTMLElement): uPlot.Options {
    const { look } = this;
    const stroke = (): string => look.palette.soft;
    const axis = { stroke, grid: { stroke: () => look.palette.line, width: 1 }, font: FONT };
    const ticks = { show: false };
    const line = { paths: brokenLine, points: { show: false } };
    return {
      width: holder.clientWidth,
      height: holder.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      padding: [6, 12, 0, 0],
      scales: { x: { time: false, range: [LOWEST_HZ, this.highest] }, y: { range: gridRange } },
      axes: [
        {
          ...axis,
          ticks,
          size: 24,
          splits: () => frequencyTicks(this.highest),
          values: (_, splits) =>
            splits.map((hz, n) => (n === splits.length - 1 ? `${hz} Hz` : String(hz))),
        },
        {
          ...axis,
          ticks,
          size: 52,
          incrs: [GRID_DB, 2 * GRID_DB, 4 * GRID_DB],
          values: (_, splits) => splits.map((db) => `${String(db).replace('-', '−')} dB`),
        },
      ],
      series: [
        {},
        ...this.channels.map(() => ({ ...line, stroke, width: 1 })),
        { ...line, stroke: () => look.palette.trace, width: 2 },
      ],
    };
  }
}

/** The bands' borders and mains; of a wide range only what does not overlap. */
function frequencyTicks(highest: number): number[] {
  if (highest > 125) return [1, 30, 60, 100, 150, 200].filter((hz) => hz < highest);
  if (highest > 65) return [1, 13, 30, 50, 60, 80, 100];
  return [1, 4, 8, 13, 30, 40, 50, 60].filter((hz) => hz < highest);
}

/** Range of the values, rounded to the grid. */
function gridRange(_: uPlot, least: number | null, most: number | null): [number, number] {
  if (least === null || most === null || !Number.isFinite(least + most)) return [-20, 20];
  return [GRID_DB * Math.floor(least / GRID_DB), GRID_DB * (Math.floor(most / GRID_DB) + 1)];
}
