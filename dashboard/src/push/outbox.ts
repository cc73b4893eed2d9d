/** Numbered packets that are not yet acknowledged, in bounded memory. */
import type { LinkChange, SensorSamples } from 'mimamba-client';

/** Seconds of signal to keep: an outage of 60 s, the pause and the attempt after it, and the sending. */
const SECONDS = 90;
/** Link changes in a packet; of more, the newest. */
const MAX_CHANGES = 512;

/** A unit that is sent and acknowledged as a whole. */
export interface Packet {
  /** Grows by one with each packet, by more if some were dropped. */
  seq: number;
  first: number;
  timestamps: Float64Array;
  data: Float32Array;
  changes: LinkChange[];
  ends: boolean;
  /** What the headset has measured beside the EEG; dropped with these samples, if they have to be. */
  sensors: SensorSamples[];
  /** Charge of the headset, percent; null if unknown. */
  battery: number | null;
}

/** Queue of packets; if it is full, the oldest are dropped, and their changes move to the next. */
export class Outbox {
  /** Samples that were dropped. */
  lost = 0;
  private packets: Packet[] = [];
  private next = 0;
  private held = 0;
  /** Index after the last sample. */
  private end = 0;
  private ended = false;
  private readonly capacity: number;

  constructor(
    sfreq: number,
    private readonly onNews: () => void,
    seconds = SECONDS,
  ) {
    this.capacity = Math.max(1, Math.round(seconds * sfreq));
  }

  /** True once the source has ended and everything is acknowledged. */
  get delivered(): boolean {
    return this.ended && this.packets.length === 0;
  }

  put(
    { first, timestamps, data }: Pick<Packet, 'first' | 'timestamps' | 'data'>,
    sensors: SensorSamples[] = [],
    battery: number | null = null,
  ): void {
    this.end = first + timestamps.length;
    this.append({ first, timestamps, data, sensors, battery });
  }

  /** Add what the headset has measured beside the EEG after the last samples of that. */
  putSensors(sensors: SensorSamples[]): void {
    if (sensors.length) this.append({ sensors });
  }

  putChange(change: LinkChange): void {
    this.append({ changes: [change] });
  }

  /** Mark the end; a second call has no effect. */
  finish(): void {
    this.append({ ends: true });
  }

  /** Up to `most` packets from `seq` on, or from the oldest one. */
  read(seq: number, most: number): Packet[] {
    const start = Math.max(0, seq - (this.packets[0]?.seq ?? 0));
    return this.packets.slice(start, start + most);
  }

  /** Remove all packets up to `seq`. */
  acknowledge(seq: number): void {
    while (this.packets.length && this.packets[0]!.seq <= seq)
      this.held -= this.packets.shift()!.timestamps.length;
    this.onNews();
  }

  /** Remove a packet that the service refused, and all before it; returns its lost samples. */
  refuse(seq: number): number {
    const lost = this.packets.find((packet) => packet.seq === seq)?.timestamps.length ?? 0;
    this.lost += lost;
    this.acknowledge(seq);
    return lost;
  }

  private append(part: Partial<Packet>): void {
    if (this.ended) return;
    const empty = { first: this.end, timestamps: new Float64Array(), data: new Float32Array() };
    const nothing = { changes: [], ends: false, sensors: [], battery: null };
    const packet = { ...empty, ...nothing, ...part, seq: this.next++ };
    this.packets.push(packet);
    this.held += packet.timestamps.length;
    this.ended = packet.ends;
    while (this.held > this.capacity && this.packets.length > 1) this.drop();
    this.onNews();
  }

  private drop(): void {
    const oldest = this.packets.shift()!;
    this.held -= oldest.timestamps.length;
    this.lost += oldest.timestamps.length;
    const following = this.packets[0]!;
    const changes = [...oldest.changes, ...following.changes].slice(-MAX_CHANGES);
    this.packets[0] = { ...following, changes };
  }
}
