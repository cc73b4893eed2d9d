/** Scales to choose from: half a lane's height, µV. */
export const STEPS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000] as const;

/** The scale shrinks only if the signal is smaller by this factor, so that it does not flicker. */
const SHRINK = 0.4;
/** Half a lane's height in standard deviations; blinks reach about this far. */
const HEADROOM = 4;

/** Mean and standard deviation. */
export interface Spread {
  mean: number;
  rms: number;
}

/** Write mean and standard deviation of the values that are not NaN to `into`. */
export function spread(values: Float32Array, into: Spread): Spread {
  let count = 0;
  let mean = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Number.isNaN(value)) continue;
    count += 1;
    const step = value - mean;
    mean += step / count; // Welford's algorithm: exact even with offsets of 10^5 µV
    squares += step * (value - mean);
  }
  into.mean = mean;
  into.rms = count ? Math.sqrt(squares / count) : 0;
  return into;
}

/**
 * Scale for these channels, given the present one.
 *
 * The median channel decides, so that one loose electrode does not flatten the others.
 */
export function chooseStep(spreads: readonly Spread[], present: number): number {
  const sorted = spreads.map(({ rms }) => rms).sort((a, b) => a - b);
  const needed = HEADROOM * (sorted[Math.floor((sorted.length - 1) / 2)] ?? 0);
  if (needed <= present && needed > SHRINK * present) return present;
  const step = STEPS.find((candidate) => candidate >= needed) ?? STEPS.at(-1)!;
  return needed > present || step < present ? step : present;
}
