import type { HeartMessage } from 'mimamba-client';
import type { SessionSnapshot } from './session.svelte';

/** Age of the newest sample from which the signal counts as old, seconds. */
export const STALE_SECONDS = 2;

/**
 * Age of the newest sample, seconds; null if there is none.
 *
 * `time`: page time now. `lsl`: LSL time now, or null.
 */
export function ageOf(
  { arrival, latestTimestamp, info }: SessionSnapshot,
  time: number,
  lsl: number | null,
): number | null {
  if (arrival === null || latestTimestamp === null) return null;
  const sinceArrival = Math.max(0, time - arrival);
  // A replayed timestamp is in the past: only the arrival counts.
  if (!info?.live || lsl === null) return sinceArrival;
  return Math.max(sinceArrival, lsl - latestTimestamp);
}

/**
 * True if the signal on the screen is unexpectedly old.
 *
 * A paused recording and an ended session stand still as expected.
 */
export const isStale = ({ ended, link }: SessionSnapshot, age: number | null): boolean =>
  age !== null && age > STALE_SECONDS && !ended && link.state !== 'paused';

/** A measurement is shown while at most this much newer signal has come, seconds. */
const MAX_LAG = 1;

/** The measurement (quality or band power) if it is still current, else null. */
export function ifCurrent<Measurement extends { index: number }>(
  { info, ended, latestIndex }: SessionSnapshot,
  measurement: Measurement | null,
  age: number | null,
): Measurement | null {
  if (!measurement || !info || ended || age === null || age > STALE_SECONDS) return null;
  return (latestIndex - measurement.index) / info.sfreq > MAX_LAG ? null : measurement;
}

/** A heart rate is shown while at most this much newer signal has come, seconds. */
const MAX_HEART_LAG = 3;

/** The heart rate if it is still current, else null. */
export function currentHeart(
  { heart, ended, latestTimestamp }: SessionSnapshot,
  age: number | null,
): HeartMessage | null {
  if (!heart || ended || age === null || age > STALE_SECONDS || latestTimestamp === null)
    return null;
  return latestTimestamp - heart.timestamp > MAX_HEART_LAG ? null : heart;
}
