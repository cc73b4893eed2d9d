/** A threshold with hysteresis, so that feedback does not flicker where a value trembles. */

export interface Threshold {
  side: 'above' | 'below';
  /** From 0 to 1. */
  at: number;
  /** Way back beyond the threshold before feedback ends, from 0 to 1. */
  back: number;
}

/** True while there is feedback on a value; `before` is the state so far. Null is silence. */
export function isOn(
  { side, at, back }: Threshold,
  value: number | null,
  before: boolean,
): boolean {
  if (value === null) return false;
  const [height, limit] = side === 'above' ? [value, at] : [-value, -at];
  return height >= (before ? limit - back : limit);
}
