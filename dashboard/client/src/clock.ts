import type { Clock } from './messages.js';

/** The page's monotonic clock, seconds. */
export const pageTime = (): number => performance.now() / 1000;

/**
 * Offset between the page's clock and the service's LSL clock.
 *
 * A ping bounds the offset by its round trip, as in NTP; the shortest of the last eight is used.
 * Before the first pong, the clock of the first message is used as if it took no time.
 */
export class ServiceClock {
  private static readonly MAX_PINGS = 8;
  private pings: { roundTrip: number; offset: number }[] = [];
  private firstOffset: number | null = null;

  /** Use the clock in a hello or a heartbeat. */
  addMessage(clock: Clock, arrival: number): void {
    this.firstOffset ??= clock.lsl - arrival;
  }

  /** Use the answer to a ping that was sent at page time `sent`. */
  addPong(sent: number, clock: Clock, arrival: number): void {
    const roundTrip = arrival - sent;
    this.pings.push({ roundTrip, offset: clock.lsl - (sent + roundTrip / 2) });
    if (this.pings.length > ServiceClock.MAX_PINGS) this.pings.shift();
  }

  /** Forget the offset: a new connection may lead to a restarted service with another clock. */
  reset(): void {
    this.pings = [];
    this.firstOffset = null;
  }

  /** LSL time at a page time, seconds; null while unknown. */
  at(page: number): number | null {
    if (this.pings.length === 0) return this.firstOffset === null ? null : page + this.firstOffset;
    const best = this.pings.reduce((a, b) => (b.roundTrip < a.roundTrip ? b : a));
    return page + best.offset;
  }
}
