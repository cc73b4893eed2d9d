/** Conversion of a Muse's notifications to chunks of EEG and of other sensors, and battery charge. */
import { BlockJoiner, type JoinedBlock } from './block_joiner';
import { type Chunk, PacketClock, mergeChunks } from './packet_clock';
import { type Block, type Sensor, decodeNotification } from './packets';

/** Consecutive samples of a sensor beside the EEG. */
export interface SensorChunk extends Chunk {
  sensor: Sensor;
}

/** One sensor's joiner and clock, and what they have decided. */
class Track {
  private readonly joiner: BlockJoiner;
  private readonly clock: PacketClock;
  private ready: Chunk[] = [];

  constructor(readonly sensor: Sensor) {
    this.joiner = new BlockJoiner(sensor);
    this.clock = new PacketClock(sensor);
  }

  expire(stamp: number): void {
    this.number(this.joiner.expire(stamp));
  }

  push(block: Block, stamp: number, age: number): void {
    // A headset does not change a sensor's format while it measures.
    if (block.sensor === this.sensor) this.number(this.joiner.push(block, stamp, age));
  }

  flush(): void {
    this.number(this.joiner.flush());
    this.ready.push(...this.clock.flush());
  }

  take(): Chunk[] {
    const { ready } = this;
    this.ready = [];
    return mergeChunks(ready);
  }

  private number(joined: JoinedBlock[]): void {
    for (const block of joined) this.ready.push(...this.clock.push(block));
  }
}

/** Decoder, joiners and clocks for everything that one connection brings. */
export class MuseReceiver {
  /** Charge that was reported last, percent; null if none was. */
  battery: number | null = null;
  private readonly tracks = new Map<Sensor['name'], Track>();

  /** True once a block of EEG has come. */
  get hasEeg(): boolean {
    return this.tracks.has('eeg');
  }

  /** Process a notification, received at `stamp`, seconds on the page's clock. */
  feed(characteristic: string, data: Uint8Array, stamp: number): void {
    for (const track of this.tracks.values()) track.expire(stamp);
    const blocks: Block[] = [];
    for (const found of decodeNotification(characteristic, data))
      if (found.kind === 'battery') this.battery = found.charge;
      else blocks.push(found);
    // Several blocks of one sensor in a notification were measured one after the other.
    blocks.forEach((block, k) => {
      const { sensor } = block;
      const after = blocks.slice(k + 1).filter((each) => each.sensor === sensor).length;
      this.trackOf(sensor).push(block, stamp, (after * sensor.nTimes) / sensor.sfreq);
    });
  }

  /** Decide about everything that is held back. */
  flush(): void {
    for (const track of this.tracks.values()) track.flush();
  }

  /** The EEG since the last call, µV of the four electrodes. */
  takeEeg(): Chunk[] {
    return this.tracks.get('eeg')?.take() ?? [];
  }

  /** The rest since the last call. */
  takeSensors(): SensorChunk[] {
    return [...this.tracks.values()]
      .filter(({ sensor }) => sensor.name !== 'eeg')
      .flatMap((track) => track.take().map((chunk) => ({ ...chunk, sensor: track.sensor })));
  }

  private trackOf(sensor: Sensor): Track {
    let track = this.tracks.get(sensor.name);
    if (!track) this.tracks.set(sensor.name, (track = new Track(sensor)));
    return track;
  }
}
