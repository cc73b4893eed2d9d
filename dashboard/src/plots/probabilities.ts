import type uPlot from 'uplot';
import { FONT, brokenLine } from './line';
import type { Palette } from './palette';

/** Dash of each line, on the canvas and in text: colour alone would not be accessible. */
const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3]];
const SIGNS = ['—', '- -', '···', '-·-'];

/** "valence: high —, arousal: high - -". */
export const legend = (names: readonly string[]): string =>
  names.map((name, i) => `${name} ${SIGNS[i % SIGNS.length]}`).join(', ');

/** Time axis: range and ticks in seconds, and the ticks' labels. */
export interface TimeAxis {
  range: [number, number];
  splits: number[];
  values: string[];
}

/** uPlot options for probabilities over time, 0 to 100 %. */
export function probabilityOptions(
  holder: HTMLElement,
  names: readonly string[],
  look: { palette: Palette },
  times: TimeAxis,
  style: { width: number; right: number },
): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: () => look.palette.soft,
    grid: { stroke: () => look.palette.line, width: 1 },
    ticks: { show: false },
    font: FONT,
  };
  return {
    width: holder.clientWidth,
    height: holder.clientHeight,
    legend: { show: false },
    cursor: { show: false },
    padding: [6, style.right, 0, 0],
    scales: { x: { time: false, range: times.range }, y: { range: [0, 1] } },
    axes: [
      { ...axis, size: 24, splits: () => times.splits, values: () => times.values },
      { ...axis, size: 48, splits: () => [0, 0.5, 1], values: () => ['0 %', '50 %', '100 %'] },
    ],
    series: [
      {},
      ...names.map((label, i) => ({
        label,
        stroke: () => look.palette.trace,
        width: style.width,
        dash: DASHES[i % DASHES.length]!,
        paths: brokenLine,
        points: { show: false },
      })),
    ],
  };
}
