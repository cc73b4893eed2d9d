import type { QualityMessage } from 'mimamba-client';
import { poorChannels } from './contact';

/** Seconds of poor contact after which the contact is shown first. */
const POOR_SECONDS = 2;
/** Seconds of good contact after which it is no longer. */
const GOOD_SECONDS = 5;

/** Decides whether contact is shown before predictions; slow, so that the page does not jump. */
export class ContactFirst {
  first = false;
  /** Timestamp of the last measurement that agreed with `first`. */
  private agreed: number | null = null;

  /** Add a measurement of the channels that are used; return whether contact is shown first. */
  add(quality: QualityMessage, channels: readonly string[]): boolean {
    const poor = poorChannels(quality, channels).length > 0;
    const { timestamp } = quality;
    if (poor === this.first || this.agreed === null || timestamp < this.agreed)
      this.agreed = timestamp;
    else if (timestamp - this.agreed >= (poor ? POOR_SECONDS : GOOD_SECONDS)) {
      this.first = poor;
      this.agreed = timestamp;
    }
    return this.first;
  }
}
