import uPlot from 'uplot';
import type { Spectrogram } from '../signal/spectrogram';
import { LOWEST_HZ } from '../signal/spectrum';
import { FONT } from './line';
import type { Palette } from './palette';

/** Colours from dark to bright that people tell apart in any light and with any colour vision: viridis. */
const COLOURS: readonly (readonly [number, number, number])[] = [
  [68, 1, 84],
  [59, 82, 139],
  [33, 145, 140],
  [94, 201, 98],
  [253, 231, 37],
];

/** Red, green and blue of a share of the range, 0 to 1. */
export function colourOf(share: number): [number, number, number] {
  const place = Math.min(1, Math.max(0, share)) * (COLOURS.length - 1);
  const below = COLOURS[Math.floor(place)]!;
  const above = COLOURS[Math.ceil(place)]!;
  const mix = (n: 0 | 1 | 2): number => Math.round(below[n] + (place % 1) * (above[n] - below[n]));
  return [mix(0), mix(1), mix(2)];
}

/** Picture of a spectrogram: time to the right, frequency upwards, power as colour. */
export class SpectrogramPlot {
  private readonly plot: uPlot;
  private readonly picture = document.createElement('canvas');

  constructor(
    holder: HTMLElement,
    private readonly data: Spectrogram,
    private readonly highest: number,
    private readonly look: { palette: Palette },
  ) {
    this.picture.width = data.columns;
    this.picture.height = data.freqs.length;
    this.plot = new uPlot(this.options(holder), [[], []], holder);
  }

  /** Draw the present values; returns those of the darkest and the brightest colour. */
  draw(): [number, number] | null {
    const range = this.data.colourRange();
    if (range) this.paint(...range);
    this.plot.redraw(false, false);
    return range;
  }

  resize(width: number, height: number): void {
    this.plot.setSize({ width, height });
  }

  destroy(): void {
    this.plot.destroy();
  }

  private paint(low: number, high: number): void {
    const { columns, freqs, values } = this.data;
    const context = this.picture.getContext('2d')!;
    const image = context.createImageData(columns, freqs.length);
    for (let x = 0; x < columns; x++)
      for (let k = 0; k < freqs.length; k++) {
        const value = values[x * freqs.length + k]!;
        if (Number.isNaN(value)) continue; // lost: transparent
        const pixel = 4 * ((freqs.length - 1 - k) * columns + x);
        image.data.set([...colourOf((value - low) / (high - low)), 255], pixel);
      }
    context.putImageData(image, 0, 0);
  }

  private options(holder: HTMLElement): uPlot.Options {
    const { columns } = this.data;
    const axis = {
      stroke: () => this.look.palette.soft,
      grid: { show: false },
      ticks: { show: false },
      font: FONT,
    };
    return {
      width: holder.clientWidth,
      height: holder.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      padding: [6, 12, 0, 0],
      scales: {
        x: { time: false, range: [-columns, 0] },
        y: { range: [LOWEST_HZ, this.highest] },
      },
      axes: [
        {
          ...axis,
          size: 24,
          splits: () => [-columns, -columns / 2, 0],
          values: (_, splits) =>
            splits.map((second) => (second === 0 ? 'now' : `−${-second / 60} min`)),
        },
        {
          ...axis,
          size: 52,
          incrs: [10, 20, 50],
          values: (_, splits) => splits.map((hz) => `${hz} Hz`),
        },
      ],
      series: [{}, { show: false }], // a scale needs a series
      hooks: { draw: [({ ctx, bbox }) => this.show(ctx, bbox)] },
    };
  }

  private show(context: CanvasRenderingContext2D, box: uPlot.BBox): void {
    context.save();
    context.imageSmoothingEnabled = false;
    context.drawImage(this.picture, box.left, box.top, box.width, box.height);
    context.restore();
  }
}
