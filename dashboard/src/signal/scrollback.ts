import type { RingBuffer } from './ring_buffer';

/** Seconds between the newest sample and the one at the right edge, index `end`. */
export const secondsBack = (ring: RingBuffer, end: number, sfreq: number): number =>
  (ring.newest - end) / sfreq;

/** Seconds by which a window of `length` samples can be moved back in the buffer. */
export const maxSecondsBack = (ring: RingBuffer, length: number, sfreq: number): number =>
  Math.max(0, ring.newest - ring.oldest + 1 - length) / sfreq;

/** `end`, limited so that a window of `length` samples lies in the buffer if possible. */
export const clampEnd = (ring: RingBuffer, end: number, length: number): number =>
  Math.min(ring.newest, Math.max(end, ring.oldest + length - 1));

/** `end` of a frozen window: it moves only if its samples have left the buffer. */
export const frozenEnd = (ring: RingBuffer, end: number, length: number): number =>
  ring.oldest > ring.start ? clampEnd(ring, end, length) : end;
