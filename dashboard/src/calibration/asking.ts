/** Asking how one feels at random times, which nobody can expect. */

/** Minutes from one question to the next: at least, and at most. */
export const BETWEEN_MINUTES = [6, 12] as const;

/** Milliseconds until the next question, for a random number from 0 up to 1. */
export function untilNextQuestion(random: number): number {
  const [least, most] = BETWEEN_MINUTES;
  return (least + (most - least) * random) * 60_000;
}
