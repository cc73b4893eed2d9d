import uPlot from 'uplot';
import { HISTORY_SECONDS, type OutputHistory } from '../state/prediction_history';
import type { Palette } from './palette';
import { type TimeAxis, probabilityOptions } from './probabilities';

const TIMES: TimeAxis = {
  range: [-HISTORY_SECONDS, 0],
  splits: [-120, -60, 0],
  values: ['−2 min', '−1 min', 'now'],
};

/** Plot of one output's probabilities over the last two minutes, one line per label. */
export class PredictionHistoryPlot {
  private readonly plot: uPlot;

  constructor(holder: HTMLElement, labels: readonly string[], look: { palette: Palette }) {
    const options = probabilityOptions(holder, labels, look, TIMES, { width: 2, right: 26 });
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
