/** Paced breathing: 4 s in, 6 s out. */

export const BREATH_IN = 4;
export const BREATH_OUT = 6;
export const BREATH = BREATH_IN + BREATH_OUT;

export interface Breath {
  phase: 'in' | 'out';
  /** Fullness of the lungs, 0 to 1. */
  fullness: number;
}

/** The breath at a number of seconds since the block began. */
export function breathAt(seconds: number): Breath {
  const within = ((seconds % BREATH) + BREATH) % BREATH;
  const [phase, part] =
    within < BREATH_IN
      ? (['in', within / BREATH_IN] as const)
      : (['out', 1 - (within - BREATH_IN) / BREATH_OUT] as const);
  return { phase, fullness: (1 - Math.cos(Math.PI * part)) / 2 };
}
