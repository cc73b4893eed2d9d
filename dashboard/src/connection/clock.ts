import type { Clock } from './protocol';

/** Seconds on the page's own clock, which never steps. */
export const pageTime = (): number => performance.now() / 1000;

/**
 * The service's LSL clock as seen from the page.
 *
 * Each answered ping bounds the offset by its round trip (as in NTP); the shortest of the last few
 * counts. Until the first answer, a message's arrival stands for its sending.
 */
export class ServiceClock {
  private static readonly KEPT = 8;
  private answers: { roundTrip: number; offset: number }[] = [];
  private heard: number | null = null;

  /** A clock that came unasked, in hello or a heartbeat. */
  hear(clock: Clock, arrival: number): void {
    this.heard ??= clock.lsl - arrival;
  }

  /** The answer to a ping that was sent at page time `sent`. */
  answer(sent: number, clock: Clock, arrival: number): void {
    const roundTrip = arrival - sent;
    this.answers.push({ roundTrip, offset: clock.lsl - (sent + roundTrip / 2) });
    if (this.answers.length > ServiceClock.KEPT) this.answers.shift();
  }

  /** A new connection may lead to a restarted service with another clock. */
  reset(): void {
    this.answers = [];
    this.heard = null;
  }

  /** The LSL clock's time at a page time; null while nothing is known. */
  at(page: number): number | null {
    if (this.answers.length === 0) return this.heard === null ? null : page + this.heard;
    const best = this.answers.reduce((a, b) => (b.roundTrip < a.roundTrip ? b : a));
    return page + best.offset;
  }
}
