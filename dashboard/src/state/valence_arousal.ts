import type { History } from './prediction_history';
import type { View } from './session.svelte';

/** Seconds of the past that are drawn behind the point, and over which its spread is measured. */
export const TRAIL_SECONDS = 20;
export const SPREAD_SECONDS = 5;

/** Probabilities of high valence and of high arousal, or their standard deviations. */
export interface Point {
  valence: number;
  arousal: number;
}

/** From one point of the trail to the next; `age` is the later one's, seconds. */
export interface Step {
  from: Point;
  to: Point;
  age: number;
}

export interface Plane {
  point: Point;
  trail: Step[];
  /** Standard deviations over the last 5 s; null where there are fewer than two predictions. */
  spread: Point | null;
}

/** Whether a model's outputs are the two that span the plane. */
export function spansPlane(outputs: View['outputs']): boolean {
  const lowHigh = (labels: string[] | undefined): boolean =>
    labels?.length === 2 && labels.includes('low') && labels.includes('high');
  return lowHigh(outputs?.['valence']) && lowHigh(outputs?.['arousal']);
}

/** The plane as the newest prediction has it; null where that one is an abstention. */
export function planeOf(history: History): Plane | null {
  const { seconds, probabilities } = history.past('valence', ['high']);
  const valence = probabilities[0]!;
  const arousal = history.past('arousal', ['high']).probabilities[0]!;
  const at = (i: number): Point => ({ valence: valence[i]!, arousal: arousal[i]! });
  const known = (i: number): boolean => !Number.isNaN(valence[i]! + arousal[i]!);
  const newest = seconds.length - 1;
  if (newest < 0 || !known(newest)) return null;

  const trail: Step[] = [];
  for (let i = 1; i <= newest; i++)
    if (known(i - 1) && known(i) && seconds[i - 1]! >= -TRAIL_SECONDS)
      trail.push({ from: at(i - 1), to: at(i), age: 0 - seconds[i]! });

  // Only since the last abstention: before it the model heard something else.
  let first = newest;
  while (first > 0 && known(first - 1) && seconds[first - 1]! >= -SPREAD_SECONDS) first--;
  const spread =
    first < newest
      ? { valence: deviation(valence.subarray(first)), arousal: deviation(arousal.subarray(first)) }
      : null;
  return { point: at(newest), trail, spread };
}

function deviation(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
