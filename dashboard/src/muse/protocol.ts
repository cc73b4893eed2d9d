/**
 * Names, characteristics and commands of Muse headsets.
 *
 * No maker's document describes them. drivers/muse/protocol.py has the same facts, each with the
 * public source that states it.
 */

/** Service that every Muse advertises: 0xFE8D (Bluetooth SIG, Assigned Numbers, member UUIDs). */
export const MUSE_SERVICE = '0000fe8d-0000-1000-8000-00805f9b34fb';
/** Names of all Muse headsets begin so. */
export const NAME_PREFIX = 'Muse';

const characteristic = (number: number): string =>
  `273e${number.toString(16).padStart(4, '0')}-4c4d-454d-96be-f03bac821358`;

/** Takes commands and answers them in JSON. */
export const CONTROL = characteristic(0x01);
export const ELECTRODES = ['TP9', 'AF7', 'AF8', 'TP10'];
/** One for each of `ELECTRODES`. */
export const EEG = [0x03, 0x04, 0x05, 0x06].map(characteristic);
export const GYROSCOPE = characteristic(0x09);
export const ACCELEROMETER = characteristic(0x0a);
export const TELEMETRY = characteristic(0x0b);
/** Ambient, infrared, red; a Muse 2016 has none. */
export const PPG = [0x0f, 0x10, 0x11].map(characteristic);
/** Only a Muse S has it. */
const THERMISTOR = characteristic(0x12);
/** Everything that a Muse S Athena measures. */
export const ATHENA = [0x13, 0x14].map(characteristic);

/** Sent to all but the Athena, for which no source names a keep-alive. */
export const KEEP_ALIVE = 'k';
export const KEEP_ALIVE_SECONDS = 10;
export const HALT = 'h';
/** Brings a headset out of its bootloader; it disconnects. */
export const RESTART = '*1';

/** A model, as its characteristics show it. */
export interface MuseModel {
  title: string;
  /** Those to be notified of. */
  characteristics: string[];
  /** Commands before the first notification. */
  prepare: string[];
  /** Commands that start the samples. */
  start: string[];
  keepAlive: boolean;
  uvPerBit: number;
  rangeUv: number;
}

/**
 * Find the model by the characteristics it offers; null if it offers no EEG that is known.
 *
 * An early Muse S may be named like a Muse 2.
 */
export function findModel(name: string, offered: ReadonlySet<string>): MuseModel | null {
  if (offered.has(ATHENA[0]!))
    return {
      title: 'Muse S Athena',
      characteristics: ATHENA.filter((each) => offered.has(each)),
      prepare: ['v6', 's', HALT, 'p1035'],
      start: ['dc001', 'dc001', 'L1'],
      keepAlive: false,
      uvPerBit: 1450 / 16383,
      rangeUv: 725,
    };
  if (!EEG.every((each) => offered.has(each))) return null;
  const pulse = PPG.some((each) => offered.has(each));
  const museS = offered.has(THERMISTOR) || name.toLowerCase().startsWith('muses');
  const [title, preset] = !pulse
    ? ['Muse 2016', 'p21']
    : museS
      ? ['Muse S', 'p61']
      : ['Muse 2', 'p50'];
  return {
    title,
    characteristics: [...EEG, ...PPG, ACCELEROMETER, GYROSCOPE, TELEMETRY].filter((each) =>
      offered.has(each),
    ),
    prepare: ['v1', 's', HALT, preset],
    start: ['d'],
    keepAlive: true,
    uvPerBit: 125 / 256,
    rangeUv: 1000,
  };
}

/** A command's bytes: its length with the line feed, its letters, a line feed. */
export function encodeCommand(command: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(`${command}\n`);
  return Uint8Array.from([text.length, ...text]);
}

/** Letters of an answer; more are noise. */
const LONGEST = 4096;

/**
 * The headset's answers: JSON objects in pieces of up to 19 letters.
 *
 * The first byte of a piece is the number of its letters; the rest is padding. `fw` is the firmware,
 * `ap` is `headset` or `bootloader`, `bp` is the battery's charge in percent.
 */
export class ControlReplies {
  private facts: Record<string, unknown> = {};
  private text = '';

  /** Process a notification of `CONTROL`; true if an object is complete with it. */
  feed(piece: Uint8Array): boolean {
    if (!piece.length) return false;
    let complete = false;
    this.text += new TextDecoder('ascii').decode(piece.subarray(1, 1 + piece[0]!));
    for (let end = this.text.indexOf('}'); end >= 0; end = this.text.indexOf('}')) {
      const before = this.text.slice(0, end);
      this.text = this.text.slice(end + 1);
      const start = before.lastIndexOf('{');
      if (start < 0) continue;
      try {
        Object.assign(this.facts, JSON.parse(`${before.slice(start)}}`));
        complete = true;
      } catch {
        // no JSON: a piece was lost
      }
    }
    this.text = this.text.slice(-LONGEST);
    return complete;
  }

  /** "firmware 1.2.13". */
  get firmware(): string {
    const { fw } = this.facts;
    return `firmware ${typeof fw === 'string' || typeof fw === 'number' ? fw : 'of unknown version'}`;
  }

  /** Charge, percent; null if it was not told. */
  get battery(): number | null {
    const charge = Number(this.facts['bp'] ?? NaN);
    return charge >= 0 && charge <= 100 ? charge : null;
  }

  get inBootloader(): boolean {
    return this.facts['ap'] === 'bootloader';
  }
}
