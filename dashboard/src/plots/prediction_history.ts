import uPlot from 'uplot';
import type { OutputHistory } from '../state/prediction_history';
import type { Palette } from './palette';
import { type TimeAxis, probabilityOptions } from './probabilities';

/** Times that a history can span, by their seconds, with the ticks of its axis in words. */
const TICKS: Record<number, [string, string]> = {
  120: ['−2 min', '−1 min'],
  600: ['−10 min', '−5 min'],
  3600: ['−1 h', '−30 min'],
  28800: ['−8 h', '−4 h'],
};
export const SPANS = Object.keys(TICKS).map(Number);

/** "2 minutes", "8 hours". */
export const spanText = (span: number): string =>
  span < 3600 ? `${span / 60} minutes` : span === 3600 ? 'hour' : `${span / 3600} hours`;

const timesOf = (span: number): TimeAxis => ({
  range: [-span, 0],
  splits: [-span, -span / 2, 0],
  values: [...(TICKS[span] ?? ['', '']), 'now'],
});

/** Plot of one output's probabilities over the last minutes or hours, one line per label. */
export class PredictionHistoryPlot {
  private readonly plot: uPlot;

  constructor(
    holder: HTMLElement,
    labels: readonly string[],
    span: number,
    look: { palette: Palette },
  ) {
    const style = { width: 2, right: 26 };
    const options = probabilityOptions(holder, labels, look, timesOf(span), style);
    this.plot = new uPlot(options, [[], ...labels.map(() => [])], holder);
  }

  draw({ seconds, probabilities }: OutputHistory): void {
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
}
