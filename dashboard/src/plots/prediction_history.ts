import uPlot from 'uplot';
import { HISTORY_SECONDS, type Past } from '../state/prediction_history';
import type { Palette } from './palette';
import { type Times, probabilityOptions } from './probabilities';

const TIMES: Times = {
  range: [-HISTORY_SECONDS, 0],
  splits: [-120, -60, 0],
  values: ['−2 min', '−1 min', 'newest'],
};

/** One output's probabilities over the last two minutes, a line for each label in `labels`. */
export class PastPlot {
  private readonly plot: uPlot;

  constructor(holder: HTMLElement, labels: readonly string[], look: { palette: Palette }) {
    const options = probabilityOptions(holder, labels, look, TIMES, { width: 2, right: 26 });
    this.plot = new uPlot(options, [[], ...labels.map(() => [])], holder);
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
}
