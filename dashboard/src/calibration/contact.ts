/** The check of the electrodes before a calibration: all must be good for some seconds in a row. */
import type { QualityMessage } from 'mimamba-client';

/** Seconds in a row for which all electrodes must be good. */
export const GOOD_SECONDS = 10;
/** Score from which an electrode is good. */
export const GOOD_SCORE = 0.7;

/** Electrodes that are not good now, with the reason. */
export function poorChannels(
  quality: QualityMessage | null,
  channels: readonly string[],
): { channel: string; reason: string }[] {
  return channels.flatMap((channel) => {
    const measured = quality?.channels[channel];
    if (!measured) return [{ channel, reason: 'not measured yet' }];
    return measured.score >= GOOD_SCORE
      ? []
      : [{ channel, reason: measured.reason ?? 'poor signal' }];
  });
}

/** Seconds in a row for which all electrodes were good, from one measurement to the next. */
export class GoodContact {
  private since: number | null = null;
  private last: number | null = null;

  /** Add a measurement; return the seconds so far. */
  add(quality: QualityMessage, channels: readonly string[]): number {
    const { timestamp } = quality;
    const good = channels.length > 0 && poorChannels(quality, channels).length === 0;
    // A measurement that is missing, or a clock that steps, begins again.
    const follows =
      this.last !== null && timestamp >= this.last && timestamp - this.last < LONGEST_STEP;
    if (!good) this.since = null;
    else if (this.since === null || !follows) this.since = timestamp;
    this.last = timestamp;
    return this.since === null ? 0 : timestamp - this.since;
  }
}

/** Longest time between two measurements that follow each other, seconds. */
const LONGEST_STEP = 2.5;
