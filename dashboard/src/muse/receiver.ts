/** Conversion of a Muse's notifications to chunks of EEG and battery charge. */
import { BlockJoiner, type JoinedBlock } from './block_joiner';
import { type Chunk, PacketClock, mergeChunks } from './packet_clock';
import { type Block, SFREQ, decodeNotification } from './packets';

/** Decoder, joiner and clock for everything that one connection brings. */
export class MuseReceiver {
  /** Charge that was reported last, percent; null if none was. */
  battery: number | null = null;
  private joiner: BlockJoiner | null = null;
  private clock: PacketClock | null = null;
  private ready: Chunk[] = [];

  /** Process a notification, received at `stamp`, seconds on the page's clock. */
  feed(characteristic: string, data: Uint8Array, stamp: number): void {
    if (this.joiner) this.number(this.joiner.expire(stamp));
    const blocks: Block[] = [];
    for (const found of decodeNotification(characteristic, data))
      if (found.kind === 'battery') this.battery = found.charge;
      else blocks.push(found);
    // Several blocks in a notification were measured one after the other.
    blocks.forEach((block, k) => {
      const after = blocks.slice(k + 1).filter(({ format }) => format === block.format).length;
      this.take(block, stamp, (after * block.format.nTimes) / SFREQ);
    });
  }

  /** Decide about everything that is held back. */
  flush(): void {
    if (this.joiner) this.number(this.joiner.flush());
    if (this.clock) this.ready.push(...this.clock.flush());
  }

  /** The EEG since the last call, µV of the four electrodes. */
  takeEeg(): Chunk[] {
    const { ready } = this;
    this.ready = [];
    return mergeChunks(ready);
  }

  private take(block: Block, stamp: number, age: number): void {
    this.joiner ??= new BlockJoiner(block.format);
    this.clock ??= new PacketClock(block.format);
    // A headset does not change its format while it measures.
    if (this.joiner.format === block.format) this.number(this.joiner.push(block, stamp, age));
  }

  private number(joined: JoinedBlock[]): void {
    for (const block of joined) this.ready.push(...this.clock!.push(block));
  }
}
