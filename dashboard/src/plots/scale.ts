/** Half a lane's height in µV: what a lane may span. */
export const STEPS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000] as const;

/** A step is left for a smaller one only when the signal is this much smaller: no flicker. */
const SHRINK = 0.4;
/** Root mean squares that a lane leaves room for on either side; blinks reach about this far. */
const ROOM = 4;

/** Mean and root mean square about it. */
export interface Spread {
  mean: number;
  rms: number;
}

/** Mean and root mean square of the values that are not NaN, written to `into`. */
export function spread(values: Float32Array, into: Spread): Spread {
  let count = 0;
  let mean = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Number.isNaN(value)) continue;
    count += 1;
    const step = value - mean;
    mean += step / count; // Welford's running mean: offsets of 10^5 µV leave the rest exact
    squares += step * (value - mean);
  }
  into.mean = mean;
  into.rms = count ? Math.sqrt(squares / count) : 0;
  return into;
}

/**
 * The step for these channels' spreads, given the present one.
 *
 * The channel in the middle decides, so that one loose electrode does not flatten the others.
 */
export function chooseStep(spreads: readonly Spread[], present: number): number {
  const sorted = spreads.map(({ rms }) => rms).sort((a, b) => a - b);
  const needed = ROOM * (sorted[Math.floor((sorted.length - 1) / 2)] ?? 0);
  if (needed <= present && needed > SHRINK * present) return present;
  const step = STEPS.find((candidate) => candidate >= needed) ?? STEPS.at(-1)!;
  return needed > present || step < present ? step : present;
}
