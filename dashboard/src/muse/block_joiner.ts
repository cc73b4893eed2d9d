/**
 * Joining of the blocks that carry one number, and the order of numbers.
 *
 * A sensor's parts (the electrodes) arrive in notifications of their own. They are joined by the number
 * that the headset gave them, never by the order of arrival: a block that lacks a part is lost for all
 * of them, and no channel shifts against another.
 */
import type { Block, Sensor } from './packets';

/** Time that a late notification is waited for, seconds. */
export const REORDER_SECONDS = 0.1;
/** What a pause between two notifications counts of that time at most, seconds. */
const PAUSE_SECONDS = 0.05;
/**
 * Distance below the newest number, seconds of samples, beyond which a number is not late: the
 * headset started to count again, or more than a cycle of numbers was lost.
 */
const STALE_SECONDS = 0.5;

/** All parts with one number. */
export interface JoinedBlock {
  number: number;
  /** Time of the last sample: that of reception of the first part, less its age, seconds. */
  stamp: number;
  /** Time-major, all channels; NaN for those of a part that is missing. */
  values: Float32Array;
}

interface Waiting {
  /** Reception of the first part, seconds on the joiner's own clock, which pauses while nothing arrives. */
  since: number;
  stamp: number;
  parts: Map<number, Float32Array>;
}

/**
 * Converter of one sensor's blocks, in any order, to joined blocks in the headset's order.
 *
 * A block is given up `REORDER_SECONDS` after a part of it, or of a later one, arrived. Without a loss
 * nothing waits. A second notification with the same content is left out, and so is one that comes
 * after its block was given up.
 *
 * Time counts while notifications arrive: a radio or a page that stalls delays all of them, and the
 * rest of a block may be the next that comes.
 */
export class BlockJoiner {
  /** By position: the number, counted on without end. */
  private readonly waiting = new Map<number, Waiting>();
  /** The lowest position that is still wanted. */
  private next: number | null = null;
  private newest = 0;
  /** The time that counts, and the stamp of the latest notification, seconds. */
  private now = 0;
  private heard: number | null = null;
  private readonly stale: number;

  constructor(readonly sensor: Sensor) {
    this.stale = Math.max(1, Math.round((STALE_SECONDS * sensor.sfreq) / sensor.nTimes));
  }

  /**
   * Take a block; return the blocks that are decided. `stamp`: time of reception; `age`: age of the
   * block's last sample then; both in seconds.
   */
  push(block: Block, stamp: number, age: number): JoinedBlock[] {
    const decided = this.expire(stamp);
    let position = this.position(block.number);
    if (this.next === null || position < this.newest - this.stale) {
      decided.push(...this.flush());
      position = this.next = this.newest = block.number;
    }
    if (position < this.next) return decided; // it is there already, or was given up
    this.newest = Math.max(this.newest, position);
    let waiting = this.waiting.get(position);
    if (!waiting) {
      waiting = { since: this.now, stamp: stamp - age, parts: new Map() };
      this.waiting.set(position, waiting);
    }
    if (!waiting.parts.has(block.part)) waiting.parts.set(block.part, block.values);
    decided.push(...this.complete());
    return decided;
  }

  /** Give up what did not arrive by `now`, the stamp of any notification; return what is decided. */
  expire(now: number): JoinedBlock[] {
    if (this.heard !== null) this.now += Math.min(Math.max(now - this.heard, 0), PAUSE_SECONDS);
    this.heard = now;
    // What has waited for so long proves that all before it was sent.
    let overdue = -Infinity;
    for (const [at, { since }] of this.waiting)
      if (this.now - since > REORDER_SECONDS) overdue = Math.max(overdue, at);
    return overdue === -Infinity ? [] : [...this.giveUpTo(overdue), ...this.complete()];
  }

  /** Give up everything that is missing, and return what is there. */
  flush(): JoinedBlock[] {
    return this.waiting.size ? this.giveUpTo(Math.max(...this.waiting.keys())) : [];
  }

  /** Count the number on from the newest, to the nearest in either direction. */
  private position(number: number): number {
    const { nNumbers } = this.sensor;
    const ahead = modulo(number - this.newest + nNumbers / 2, nNumbers) - nNumbers / 2;
    return this.newest + ahead;
  }

  /** Return the blocks that are next and complete. */
  private complete(): JoinedBlock[] {
    const joined: JoinedBlock[] = [];
    while (this.next !== null && this.isComplete(this.next)) {
      joined.push(this.join(this.next));
      this.next += 1;
    }
    return joined;
  }

  /** Return what is complete up to this position, and want what comes after it. */
  private giveUpTo(last: number): JoinedBlock[] {
    const joined: JoinedBlock[] = [];
    for (const position of [...this.waiting.keys()].sort((a, b) => a - b)) {
      if (position > last) break;
      if (this.isComplete(position) || !this.sensor.whole) joined.push(this.join(position));
      else this.waiting.delete(position);
    }
    this.next = last + 1;
    return joined;
  }

  private isComplete = (position: number): boolean =>
    this.waiting.get(position)?.parts.size === this.sensor.nParts;

  private join(position: number): JoinedBlock {
    const { stamp, parts } = this.waiting.get(position)!;
    this.waiting.delete(position);
    const { nTimes, nParts, nNumbers } = this.sensor;
    let values = parts.get(0);
    if (!values || nParts > 1) {
      values = new Float32Array(nTimes * nParts).fill(NaN);
      for (const [part, column] of parts)
        for (let time = 0; time < nTimes; time++) values[time * nParts + part] = column[time]!;
    }
    return { number: modulo(position, nNumbers), stamp, values };
  }
}

/** Remainder that is never negative. */
const modulo = (value: number, by: number): number => ((value % by) + by) % by;
