import type { PredictionHistory } from './prediction_history';
import type { SessionSnapshot } from './session.svelte';

/** Length of the trail behind the point, seconds. */
export const TRAIL_SECONDS = 20;
/** Window of the standard deviation, seconds. */
export const SPREAD_SECONDS = 5;

/** Probabilities of high valence and of high arousal, or their standard deviations. */
export interface Point {
  valence: number;
  arousal: number;
}

/** Line from one prediction to the next; `age` of the later one, seconds. */
export interface TrailStep {
  from: Point;
  to: Point;
  age: number;
}

export interface ValenceArousal {
  point: Point;
  trail: TrailStep[];
  /** Standard deviations over the last 5 s; null with fewer than two predictions. */
  spread: Point | null;
}

/** True if the model has the outputs valence and arousal, each with labels low and high. */
export function hasValenceArousal(outputs: SessionSnapshot['outputs']): boolean {
  const lowHigh = (labels: string[] | undefined): boolean =>
    labels?.length === 2 && labels.includes('low') && labels.includes('high');
  return lowHigh(outputs?.['valence']) && lowHigh(outputs?.['arousal']);
}

/** Point, trail and spread of the newest prediction; null if it is an abstention. */
export function valenceArousal(history: PredictionHistory): ValenceArousal | null {
  const { seconds, probabilities } = history.output('valence', ['high']);
  const valence = probabilities[0]!;
  const arousal = history.output('arousal', ['high']).probabilities[0]!;
  const at = (i: number): Point => ({ valence: valence[i]!, arousal: arousal[i]! });
  const known = (i: number): boolean => !Number.isNaN(valence[i]! + arousal[i]!);
  const newest = seconds.length - 1;
  if (newest < 0 || !known(newest)) return null;

  const trail: TrailStep[] = [];
  for (let i = 1; i <= newest; i++)
    if (known(i - 1) && known(i) && seconds[i - 1]! >= -TRAIL_SECONDS)
      trail.push({ from: at(i - 1), to: at(i), age: 0 - seconds[i]! });

  // Only since the last abstention: the signal before it was different.
  let first = newest;
  while (first > 0 && known(first - 1) && seconds[first - 1]! >= -SPREAD_SECONDS) first--;
  const spread =
    first < newest
      ? { valence: deviation(valence.subarray(first)), arousal: deviation(arousal.subarray(first)) }
      : null;
  return { point: at(newest), trail, spread };
}

/** Standard deviation. */
function deviation(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
