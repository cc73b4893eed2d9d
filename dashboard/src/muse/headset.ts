/** One connection to a Muse: commands, notifications, keep-alive. */
import { pageTime } from 'mimamba-client';
import type { Chunk } from './packet_clock';
import {
  ATHENA,
  CONTROL,
  ControlReplies,
  EEG,
  HALT,
  KEEP_ALIVE,
  KEEP_ALIVE_SECONDS,
  MUSE_SERVICE,
  type MuseModel,
  RESTART,
  encodeCommand,
  findModel,
} from './protocol';
import { MuseReceiver, type SensorChunk } from './receiver';
import {
  type BluetoothDevice,
  type Characteristic,
  HeadsetProblem,
  firmwareProblem,
} from './web_bluetooth';

/** Time to connect and to list the characteristics, seconds. */
const CONNECT_SECONDS = 10;
/** Time for the answer to a command, seconds; the next one is sent anyway. */
const REPLY_SECONDS = 0.2;
/** Time for the first EEG, seconds; after half of it the headset is told to start once more. */
const FIRST_SECONDS = 4;
/** Time for the last command, seconds. */
const HALT_SECONDS = 0.3;

/** Characteristics without which there is no EEG. */
const ESSENTIAL = [...EEG, ...ATHENA];

export interface HeadsetListener {
  /** New EEG; `last` at the end of the connection, with none perhaps. */
  chunks(chunks: Chunk[], last: boolean): void;
  /** The connection is lost; not called after `close`. */
  lost(why: string): void;
}

/** A connection, from `open` until `close` or `lost`. */
export class Headset {
  readonly name: string;
  model: MuseModel | null = null;
  private readonly receiver = new MuseReceiver();
  private readonly replies = new ControlReplies();
  private readonly leaving = new AbortController();
  private control: Characteristic | null = null;
  /** Writes wait for each other: browsers refuse a second one meanwhile. */
  private writing: Promise<void> = Promise.resolve();
  private spoken = 0;
  private onReply: () => void = () => undefined;
  private onFirst: () => void = () => undefined;
  private hasFirst = false;
  private opened = false;

  constructor(
    private readonly device: BluetoothDevice,
    private readonly listener: HeadsetListener,
  ) {
    this.name = device.name ?? 'The headset';
  }

  /** Charge that was reported last, percent; null if none was. */
  get battery(): number | null {
    return this.receiver.battery ?? this.replies.battery;
  }

  /** What the headset measured beside the EEG since the last call. */
  takeSensors(): SensorChunk[] {
    return this.receiver.takeSensors();
  }

  /** Connect, start the samples, and wait for the first EEG. Throws HeadsetProblem or DOMException. */
  async open(): Promise<MuseModel> {
    const { signal } = this.leaving;
    this.device.addEventListener('gattserverdisconnected', this.onDisconnected, { signal });
    try {
      const offered = await within(CONNECT_SECONDS, this.characteristics());
      if (offered === null)
        throw new HeadsetProblem(`${this.name} does not answer: switch it off and on.`);
      return await this.start(offered);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Keep the headset awake; call often. */
  tick(now: number): void {
    if (!this.opened) return;
    if (this.model?.keepAlive && now - this.spoken > KEEP_ALIVE_SECONDS) {
      this.spoken = now;
      // It matters only if the headset goes; then it disconnects or falls silent.
      this.write(KEEP_ALIVE).catch(() => undefined);
    }
  }

  /** Stop the samples and disconnect. */
  async close(): Promise<void> {
    if (this.leaving.signal.aborted) return;
    this.leaving.abort();
    if (this.opened) {
      this.receiver.flush();
      this.listener.chunks(this.receiver.takeEeg(), true);
    }
    if (this.control && this.device.gatt?.connected)
      await within(HALT_SECONDS, this.write(HALT)).catch(() => undefined);
    this.device.gatt?.disconnect();
  }

  private async characteristics(): Promise<Characteristic[]> {
    const { gatt } = this.device;
    if (!gatt) throw new HeadsetProblem(`${this.name} has no Bluetooth services: choose another.`);
    const server = await gatt.connect();
    return (await server.getPrimaryService(MUSE_SERVICE)).getCharacteristics();
  }

  private async start(offered: Characteristic[]): Promise<MuseModel> {
    const byUuid = new Map(offered.map((each) => [each.uuid.toLowerCase(), each]));
    const model = findModel(this.name, new Set(byUuid.keys()));
    this.control = byUuid.get(CONTROL) ?? null;
    if (this.control) {
      await this.listen(this.control, (data) => {
        if (this.replies.feed(data)) this.onReply();
      });
      await this.command(model?.prepare[0] ?? 'v1');
    }
    if (this.replies.inBootloader) {
      await this.command(RESTART);
      throw new HeadsetProblem(
        `${this.name} waited in its bootloader and restarts now: connect again in 10 s.`,
      );
    }
    if (!model) throw new HeadsetProblem(firmwareProblem(this.name, this.replies.firmware));
    this.model = model;
    for (const text of model.prepare.slice(1)) await this.command(text);
    const first = new Promise<true>((resolve) => (this.onFirst = () => resolve(true)));
    for (const uuid of model.characteristics) {
      const heard = this.listen(byUuid.get(uuid)!, (data) => this.receive(uuid, data));
      // Without a sensor beside the EEG the headset is of use all the same.
      await (ESSENTIAL.includes(uuid) ? heard : heard.catch(() => undefined));
    }
    for (let attempt = 0; attempt < 2 && !this.hasFirst; attempt++) {
      for (const text of model.start) await this.command(text);
      await within(FIRST_SECONDS / 2, first);
    }
    if (this.leaving.signal.aborted)
      throw new HeadsetProblem(`${this.name} disconnected: charge it, and bring it near.`);
    if (!this.hasFirst) throw new HeadsetProblem(firmwareProblem(this.name, this.replies.firmware));
    this.opened = true;
    this.spoken = pageTime();
    return model;
  }

  private async listen(
    characteristic: Characteristic,
    take: (data: Uint8Array) => void,
  ): Promise<void> {
    const { signal } = this.leaving;
    const onValue = (): void => {
      const { value } = characteristic;
      if (value) take(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    };
    characteristic.addEventListener('characteristicvaluechanged', onValue, { signal });
    await characteristic.startNotifications();
  }

  private receive(uuid: string, data: Uint8Array): void {
    this.receiver.feed(uuid, data, pageTime());
    if (this.opened) this.passOn();
    else if (this.receiver.hasEeg) {
      this.hasFirst = true;
      this.onFirst();
    }
  }

  private passOn(): void {
    const chunks = this.receiver.takeEeg();
    if (chunks.length) this.listener.chunks(chunks, false);
  }

  /** Send a command, and wait for its answer; without one the next is sent anyway. */
  private async command(text: string): Promise<void> {
    const answered = new Promise<void>((resolve) => (this.onReply = resolve));
    await this.write(text);
    await within(REPLY_SECONDS, answered);
  }

  private write(text: string): Promise<void> {
    const control = this.control;
    if (!control) return Promise.resolve();
    const write = (): Promise<void> => control.writeValueWithoutResponse(encodeCommand(text));
    const written = this.writing.then(write);
    this.writing = written.catch(() => undefined);
    return written;
  }

  private readonly onDisconnected = (): void => {
    const { opened } = this;
    void this.close();
    this.onFirst();
    if (opened) this.listener.lost('the headset disconnected');
  };
}

/** The promise's value, or null if it takes longer. */
export async function within<T>(seconds: number, promise: Promise<T>): Promise<T | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), seconds * 1000);
  });
  promise.catch(() => undefined); // it may fail after the time is over
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
