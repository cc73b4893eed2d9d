/** Offset between the page's clock and the service's, from pings. */

/** Seconds per second by which two quartz clocks may drift apart: 50 ppm each. */
const DRIFT = 1e-4;
const KEPT = 120;

interface Estimate {
  received: number;
  offset: number;
  /** Half of the round trip, seconds. */
  error: number;
}

/**
 * The service's clock less the page's, from pings (Cristian, Distributed Computing 3, 1989).
 *
 * The best of the last answers is used: its error is half of its round trip plus the drift since then.
 * The page's clock stands still while the device sleeps; an answer that contradicts the best one by
 * more than both errors shows that, and the older ones are forgotten.
 */
export class ClockOffset {
  private answers: Estimate[] = [];

  /** Add a ping: sending and receiving times on the page's clock, and the service's answer. */
  add(sent: number, received: number, theirs: number): void {
    const own = { received, offset: theirs - (sent + received) / 2, error: (received - sent) / 2 };
    const best = this.best(received);
    if (best && Math.abs(own.offset - best.offset) > own.error + errorAt(best, received))
      this.answers = [];
    this.answers.push(own);
    if (this.answers.length > KEPT) this.answers.shift();
  }

  /** Number of answers, up to 120. */
  get known(): number {
    return this.answers.length;
  }

  /** Seconds to add to the page's time to get the service's; 0 before the first answer. */
  get offset(): number {
    const last = this.answers.at(-1);
    return last ? this.best(last.received)!.offset : 0;
  }

  private best(now: number): Estimate | null {
    return this.answers.reduce<Estimate | null>(
      (best, each) => (best && errorAt(best, now) <= errorAt(each, now) ? best : each),
      null,
    );
  }
}

const errorAt = ({ error, received }: Estimate, now: number): number =>
  error + DRIFT * (now - received);
