/**
 * A Muse that this page reads, and sends to the service: the entry of what is loaded only for that.
 *
 * It reconnects when the headset or the service is lost. Samples that were lost are a gap.
 */
import { type OpenSocket, pageTime, type LinkChange, type SensorSamples } from 'mimamba-client';
import { bytesOf } from '../push/messages';
import { Outbox } from '../push/outbox';
import { Pusher } from '../push/pusher';
import { Headset, within } from './headset';
import type { Chunk } from './packet_clock';
import { SFREQ } from './packets';
import { ELECTRODES, MUSE_SERVICE, type MuseModel, NAME_PREFIX } from './protocol';
import type { SensorChunk } from './receiver';
import { WakeLock } from './wake_lock';
import {
  type Bluetooth,
  type BluetoothDevice,
  HeadsetProblem,
  NO_ADAPTER,
  connectProblem,
  dialogProblem,
  takenProblem,
} from './web_bluetooth';

/** State of the headset that this page reads. */
export interface MuseStatus {
  phase: 'connecting' | 'live' | 'reconnecting' | 'over';
  /** Name of the headset, e.g. "Muse-1A2B". */
  name: string;
  /** Id of the session; null before the service has opened it. */
  session: string | null;
  /** Charge in percent; null if unknown. */
  battery: number | null;
  /** What is wrong now, or why it is over; null if nothing is. */
  problem: string | null;
  /** True if the service cannot be reached; samples are kept meanwhile. */
  serviceAway: boolean;
  /** True if the screen is kept on. */
  awake: boolean;
}

export interface MuseOptions {
  bluetooth: Bluetooth;
  streamUrl: string;
  /** Name of the model, `none`, or null for the service's default. */
  model: string | null;
  /** Pseudonym of the one who wears it; null for none. */
  person: string | null;
  onStatus(status: MuseStatus): void;
  openSocket?: OpenSocket;
}

const TICK_MS = 50;
/** Seconds between two ticks after which the page was asleep. */
const ASLEEP = 1.5;
/** Seconds without EEG after which the headset counts as lost. */
const SILENCE = 2;
/** Seconds between two packets with what the headset measures beside the EEG. */
const SENSOR_PERIOD = 0.1;
const [SHORTEST_PAUSE, LONGEST_PAUSE] = [0.5, 5];
/** Seconds to deliver the rest at the end. */
const FINISH = 5;

/**
 * Let the person choose a headset in the browser's dialog, connect, and send its samples.
 *
 * Call it from a click. Throws HeadsetProblem with a sentence for the person.
 */
export async function connectMuse(options: MuseOptions): Promise<MuseSession> {
  const device = await chooseDevice(options.bluetooth);
  const name = device.name ?? 'The headset';
  const unlock = await lockDevice(device);
  if (!unlock) throw new HeadsetProblem(takenProblem(name));
  const session = new MuseSession(device, options, unlock);
  try {
    await session.start();
  } catch (error) {
    unlock();
    throw new HeadsetProblem(connectProblem(name, error));
  }
  return session;
}

async function chooseDevice(bluetooth: Bluetooth): Promise<BluetoothDevice> {
  if (!(await bluetooth.getAvailability())) throw new HeadsetProblem(NO_ADAPTER);
  try {
    return await bluetooth.requestDevice({
      filters: [{ services: [MUSE_SERVICE] }, { namePrefix: NAME_PREFIX }],
      optionalServices: [MUSE_SERVICE],
    });
  } catch (error) {
    throw new HeadsetProblem(dialogProblem(error));
  }
}

/** Reserve the headset among this browser's tabs; null if another one reads it. */
async function lockDevice(device: BluetoothDevice): Promise<(() => void) | null> {
  let unlock: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (unlock = resolve));
  const granted = await new Promise<boolean>((resolve) => {
    const name = `mimamba muse ${device.id}`;
    void navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock && held;
    });
  });
  return granted ? unlock : null;
}

/** Numbering of samples that goes on after a loss of the headset. */
export class Numbering {
  private shift = 0;
  private fresh = true;
  private last: { end: number; time: number; wall: number } | null = null;

  /** The next chunk is the first of another connection. */
  restart(): void {
    this.fresh = true;
  }

  /** The chunk with its index in the whole stream. `wall`: the wall clock now, seconds. */
  number(chunk: Chunk, wall: number): Chunk {
    if (this.fresh && this.last) {
      const elapsed = chunk.timestamps[0]! - this.last.time;
      // The page's clock may stand still while the device sleeps, the wall clock does not.
      const slept = wall - this.last.wall - elapsed;
      const lost = Math.max(1, Math.round((slept > 1 ? elapsed + slept : elapsed) * SFREQ));
      this.shift = this.last.end - 1 + lost - chunk.first;
    }
    this.fresh = false;
    const first = chunk.first + this.shift;
    this.last = { end: first + chunk.timestamps.length, time: chunk.timestamps.at(-1)!, wall };
    return { ...chunk, first };
  }
}

/** A headset that is connected, and its stream to the service. */
export class MuseSession {
  private status: MuseStatus;
  private headset: Headset;
  private outbox: Outbox | null = null;
  private pusher: Pusher | null = null;
  private readonly numbering = new Numbering();
  private readonly wakeLock = new WakeLock((awake) => this.report({ awake }));
  private readonly listening = new AbortController();
  private ticker: ReturnType<typeof setInterval> | undefined;
  private lastTick = 0;
  private lastHeard = 0;
  private sensorsDue = 0;
  private pause = SHORTEST_PAUSE;
  private retryAt: number | null = null;
  private whenDelivered: () => void = () => undefined;

  constructor(
    private readonly device: BluetoothDevice,
    private readonly options: MuseOptions,
    private readonly unlock: () => void,
  ) {
    this.headset = this.newHeadset();
    const name = this.headset.name;
    const idle = { session: null, battery: null, problem: null, serviceAway: false, awake: false };
    this.status = { phase: 'connecting', name, ...idle };
  }

  /** Connect for the first time. Throws HeadsetProblem or DOMException. */
  async start(): Promise<void> {
    this.report({});
    const model = await this.headset.open();
    const outbox = new Outbox(SFREQ, () => this.pusher?.send());
    const push = {
      type: 'push' as const,
      stream: crypto.randomUUID().replaceAll('-', ''),
      info: this.infoOf(model),
      ...(this.options.model === null ? {} : { model: this.options.model }),
      ...(this.options.person === null ? {} : { person: this.options.person }),
    };
    const listener = {
      opened: (session: string) => this.report({ session, serviceAway: false }),
      interrupted: () => this.report({ serviceAway: true }),
      over: (refusal: string | null) => this.onOver(refusal),
    };
    this.outbox = outbox;
    this.pusher = new Pusher(
      this.options.streamUrl,
      push,
      outbox,
      listener,
      this.options.openSocket,
    );
    this.onConnected();
    this.lastTick = pageTime();
    this.ticker = setInterval(() => this.tick(), TICK_MS);
    const { signal } = this.listening;
    document.addEventListener('visibilitychange', () => this.onVisible(), { signal });
    this.wakeLock.hold();
    this.tick();
  }

  /** Disconnect the headset, and deliver the rest. */
  async stop(): Promise<void> {
    if (this.status.phase === 'over') return;
    const delivered = new Promise<void>((resolve) => (this.whenDelivered = resolve));
    this.retryAt = null;
    await this.headset.close();
    this.outbox?.finish();
    await within(FINISH, delivered);
    this.onOver(null);
  }

  private infoOf(model: MuseModel) {
    return {
      name: model.title,
      source_id: `muse:${this.headset.name}`,
      sfreq: SFREQ,
      ch_names: ELECTRODES,
      uv_per_bit: model.uvPerBit,
      range_uv: model.rangeUv,
      live: true,
      simulated: false,
      notices: [],
    };
  }

  private newHeadset(): Headset {
    return new Headset(this.device, {
      chunks: (chunks, last) => this.take(chunks, last),
      lost: (why) => this.onLost(why),
    });
  }

  private take(chunks: Chunk[], last: boolean): void {
    this.lastHeard = pageTime();
    for (const chunk of chunks) {
      const [sensors, battery] = this.readSensors();
      this.outbox?.put(this.numbering.number(chunk, Date.now() / 1000), sensors, battery);
    }
    if (last) this.outbox?.putSensors(this.headset.takeSensors().map(sensorSamples));
    this.tick();
  }

  /** What is new beside the EEG, and the charge; nothing if that was just now. */
  private readSensors(): [SensorSamples[], number | null] {
    if (this.lastHeard < this.sensorsDue) return [[], null];
    this.sensorsDue = this.lastHeard + SENSOR_PERIOD;
    return [this.headset.takeSensors().map(sensorSamples), this.headset.battery];
  }

  private tick(): void {
    const now = pageTime();
    if (now - this.lastTick > ASLEEP) {
      this.lastHeard = now;
      this.pusher?.wake(now);
    }
    this.lastTick = now;
    if (this.status.phase === 'live') {
      this.headset.tick(now);
      if (now - this.lastHeard > SILENCE) void this.onSilent();
    }
    if (this.retryAt !== null && now >= this.retryAt) void this.retry();
    this.pusher?.tick(now);
    if (this.headset.battery !== null && this.headset.battery !== this.status.battery)
      this.report({ battery: this.headset.battery });
  }

  private async onSilent(): Promise<void> {
    this.onLost(`no EEG for ${SILENCE} s`);
    await this.headset.close();
  }

  private onConnected(): void {
    this.lastHeard = pageTime();
    this.pause = SHORTEST_PAUSE;
    this.retryAt = null;
    this.change('connected', this.headset.model!.title);
    this.report({ phase: 'live', problem: null });
  }

  private onLost(why: string): void {
    if (this.status.phase !== 'live') return;
    this.change('lost', why);
    this.retryLater(`${this.headset.name}: ${why}.`);
  }

  private retryLater(problem: string): void {
    this.report({ phase: 'reconnecting', problem });
    this.retryAt = pageTime() + this.pause;
    this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
  }

  private async retry(): Promise<void> {
    this.retryAt = null;
    this.change('retrying', this.status.problem ?? 'the headset is lost');
    await this.headset.close();
    this.headset = this.newHeadset();
    this.numbering.restart();
    try {
      await this.headset.open();
    } catch (error) {
      if (this.status.phase !== 'over') this.retryLater(connectProblem(this.headset.name, error));
      return;
    }
    if (this.status.phase === 'over') await this.headset.close();
    else this.onConnected();
  }

  /** The page is in front again: what was lost while it slept is connected at once. */
  private onVisible(): void {
    if (document.visibilityState !== 'visible') return;
    this.wakeLock.hold();
    if (this.retryAt !== null) this.retryAt = pageTime();
    this.tick();
  }

  private onOver(refusal: string | null): void {
    if (this.status.phase === 'over') return;
    clearInterval(this.ticker);
    this.listening.abort();
    this.retryAt = null;
    this.pusher?.stop();
    this.wakeLock.release();
    this.unlock();
    this.report({ phase: 'over', problem: refusal, serviceAway: false });
    this.whenDelivered();
    void this.headset.close();
  }

  private change(state: LinkChange['state'], detail: string): void {
    this.outbox?.putChange({ state, timestamp: pageTime(), detail });
  }

  private report(change: Partial<MuseStatus>): void {
    this.status = { ...this.status, ...change };
    this.options.onStatus(this.status);
  }
}

/** A sensor's samples for a message. */
const sensorSamples = ({ sensor, first, timestamps, data }: SensorChunk): SensorSamples => ({
  name: sensor.name,
  unit: sensor.unit,
  sfreq: sensor.sfreq,
  channels: [...sensor.channels],
  first,
  timestamps: bytesOf(timestamps),
  data: bytesOf(data),
});
