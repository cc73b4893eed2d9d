/** Ratings in words. */
import type { Rating } from '../requests/calibration';

const WORDS: Record<keyof Rating, readonly [string, string]> = {
  valence: ['unpleasant', 'pleasant'],
  arousal: ['calm', 'excited'],
};

/** "72 of 100, rather pleasant", for screen readers. */
export function ratingWords(scale: keyof Rating, value: number): string {
  const [low, high] = WORDS[scale];
  const distance = Math.abs(value - 50);
  const side = value < 50 ? low : high;
  if (distance < 5) return `${value} of 100, in the middle`;
  const how = distance < 20 ? 'a little' : distance < 40 ? 'rather' : 'very';
  return `${value} of 100, ${how} ${side}`;
}
