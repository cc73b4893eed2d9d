import type { SampleRing } from './ring_buffer';

/** Seconds from the newest sample back to the one at the right edge. */
export const behind = (ring: SampleRing, end: number, sfreq: number): number =>
  (ring.newest - end) / sfreq;

/** Seconds by which a view of `length` samples can be moved back over what the ring keeps. */
export const room = (ring: SampleRing, length: number, sfreq: number): number =>
  Math.max(0, ring.newest - ring.kept + 1 - length) / sfreq;

/** `end`, moved so that a view of `length` samples lies in what the ring keeps, if that is enough. */
export const within = (ring: SampleRing, end: number, length: number): number =>
  Math.min(ring.newest, Math.max(end, ring.kept + length - 1));

/**
 * `end` of a view that is held, now that more has come: it stands still until the ring's oldest
 * samples have left it.
 */
export const still = (ring: SampleRing, end: number, length: number): number =>
  ring.kept > ring.oldest ? within(ring, end, length) : end;
