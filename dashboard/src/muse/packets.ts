/**
 * Decoder of a Muse's notifications: bytes in, blocks of one sensor's samples and battery charge out.
 *
 * The formats, and the sources that state them, are those of drivers/muse/packets.py; a test compares
 * both decoders on the same notifications (tests/drivers/muse/test_page_decoder.py).
 */
import { ACCELEROMETER, ATHENA, EEG, ELECTRODES, GYROSCOPE, PPG, TELEMETRY } from './protocol';

/** Quantity that a headset measures in several channels, at one rate, and how it sends it. */
export interface Sensor {
  name: 'eeg' | 'ppg' | 'acceleration' | 'rotation';
  /** `counts` where the scale is unknown. */
  unit: string;
  /** Nominal rate, Hz. */
  sfreq: number;
  channels: readonly string[];
  /** Numbers of blocks run from 0 to `nNumbers - 1` and start again. */
  nNumbers: number;
  /** Samples in a block. */
  nTimes: number;
  /** Parts, each with some of the channels, that make a block with the same number. */
  nParts: number;
  /** A block that lacks a part is lost; otherwise its missing channels are NaN. */
  whole: boolean;
}

/** Samples with one number; `values` is time-major. */
export interface Block {
  kind: 'samples';
  sensor: Sensor;
  part: number;
  number: number;
  values: Float32Array;
}

/** The battery's charge, percent. */
export interface Battery {
  kind: 'battery';
  charge: number;
}

/** Rate of the EEG, Hz. */
export const SFREQ = 256;
const AXES = ['X', 'Y', 'Z'];
const UV_PER_BIT = 125 / 256;
const ATHENA_UV_PER_BIT = Math.fround(1450 / 16383);
const G_PER_BIT = 1 / 16384;
const DEGREES_PER_BIT = Math.fround(0.007476806640625);
const PERCENT_PER_BIT = 1 / 512;
const [WORD, BYTE] = [2 ** 16, 2 ** 8];

const UNITS = { eeg: 'µV', ppg: 'counts', acceleration: 'g', rotation: '°/s' };
const RATES = { eeg: SFREQ, ppg: 64, acceleration: 52, rotation: 52 };

function sensorOf(
  name: Sensor['name'],
  channels: readonly string[],
  nNumbers: number,
  nTimes: number,
  nParts = 1,
): Sensor {
  const whole = name !== 'ppg' || nParts === 1;
  const [unit, sfreq] = [UNITS[name], RATES[name]];
  return { name, unit, sfreq, channels, nNumbers, nTimes, nParts, whole };
}

export const CLASSIC = sensorOf('eeg', ELECTRODES, WORD, 12, 4);
const CLASSIC_PPG = sensorOf('ppg', ['ambient', 'infrared', 'red'], WORD, 6, 3);
const CLASSIC_ACCELERATION = sensorOf('acceleration', AXES, WORD, 3);
const CLASSIC_ROTATION = sensorOf('rotation', AXES, WORD, 3);

/** The Athena's 16 optical channels. */
const OPTICS = [
  ['730 nm', '850 nm'],
  ['red', 'ambient'],
].flatMap((half) =>
  ['outer', 'inner'].flatMap((place) =>
    half.flatMap((light) => ['left', 'right'].map((side) => `${side} ${place} ${light}`)),
  ),
);
const ATHENA_ACCELERATION = sensorOf('acceleration', AXES, BYTE, 3);
const ATHENA_ROTATION = sensorOf('rotation', AXES, BYTE, 3);
/** By tag. With 0x12 four more channels follow the electrodes; they are left out. */
const ATHENA_EEG: Record<number, Sensor> = {
  0x11: sensorOf('eeg', ELECTRODES, BYTE, 4),
  0x12: sensorOf('eeg', ELECTRODES, BYTE, 2),
};
/** By tag. Four channels are those of the inner sensors. */
const ATHENA_OPTICS: Record<number, Sensor> = {
  0x34: sensorOf('ppg', OPTICS.slice(4, 8), BYTE, 3),
  0x35: sensorOf('ppg', OPTICS.slice(0, 8), BYTE, 2),
  0x36: sensorOf('ppg', OPTICS, BYTE, 1),
};
const MOTION_TAG = 0x47;
const [HEADER, BLOCK_HEADER] = [14, 5];
/** Length of a block that fills its packet. */
const REST = 0;
const CHARGE_TAGS = [0x98, 0x88];
/** Bytes of an Athena's blocks, by tag: EEG, reference electrode, motion, optics, battery. */
const LENGTHS: Record<number, number> = {
  ...{ 0x11: 28, 0x12: 28, 0x53: 24, 0x47: 36, 0x34: 30, 0x35: 40, 0x36: 40, 0x98: 20 },
  0x88: REST,
};

/** Decode a notification of any model; what is damaged or unknown gives nothing. */
export function decodeNotification(characteristic: string, data: Uint8Array): (Block | Battery)[] {
  if (ATHENA.includes(characteristic)) return decodePackets(data);
  if (data.length !== 20) return [];
  if (characteristic === TELEMETRY) return [battery(bigEndian(data, 2))];
  if (characteristic === ACCELEROMETER)
    return [decodeMotion(CLASSIC_ACCELERATION, G_PER_BIT, data)];
  if (characteristic === GYROSCOPE) return [decodeMotion(CLASSIC_ROTATION, DEGREES_PER_BIT, data)];
  const electrode = EEG.indexOf(characteristic);
  if (electrode >= 0) return [decodeElectrode(electrode, data)];
  const light = PPG.indexOf(characteristic);
  return light < 0 ? [] : [decodeLight(light, data)];
}

const bigEndian = (data: Uint8Array, at: number): number => (data[at]! << 8) | data[at + 1]!;
/** Sixteen bits as a signed number. */
const signed = (bits: number): number => (bits << 16) >> 16;

const battery = (bits: number): Battery => ({
  kind: 'battery',
  charge: Math.min(bits * PERCENT_PER_BIT, 100),
});

const samples = (sensor: Sensor, part: number, number: number, values: Float32Array): Block => ({
  kind: 'samples',
  ...{ sensor, part, number, values },
});

/** A number of 16 bits, then twelve values of 12 bits, the highest bit first. */
function decodeElectrode(part: number, data: Uint8Array): Block {
  const values = new Float32Array(CLASSIC.nTimes);
  for (let i = 0; i < values.length; i += 2) {
    const at = 2 + (i / 2) * 3;
    const [a, b, c] = [data[at]!, data[at + 1]!, data[at + 2]!];
    values[i] = (((a << 4) | (b >> 4)) - 2048) * UV_PER_BIT;
    values[i + 1] = ((((b & 0xf) << 8) | c) - 2048) * UV_PER_BIT;
  }
  return samples(CLASSIC, part, bigEndian(data, 0), values);
}

/** A number of 16 bits, then six values of 24 bits, the highest bit first. */
function decodeLight(part: number, data: Uint8Array): Block {
  const values = Float32Array.from(
    { length: CLASSIC_PPG.nTimes },
    (_, time) => (bigEndian(data, 2 + 3 * time) << 8) | data[4 + 3 * time]!,
  );
  return samples(CLASSIC_PPG, part, bigEndian(data, 0), values);
}

/** A number of 16 bits, then three times three values of 16 bits, the highest bit first. */
function decodeMotion(sensor: Sensor, scale: number, data: Uint8Array): Block {
  const values = Float32Array.from(
    { length: 9 },
    (_, at) => signed(bigEndian(data, 2 + 2 * at)) * scale,
  );
  return samples(sensor, 0, bigEndian(data, 0), values);
}

/** Decode the packets in a notification of an Athena. */
function decodePackets(data: Uint8Array): (Block | Battery)[] {
  const found: (Block | Battery)[] = [];
  let rest = data;
  while (rest.length >= HEADER && rest[0]! >= HEADER && rest[0]! <= rest.length) {
    decodeBlocks(rest[9]!, rest[10]!, rest.subarray(HEADER, rest[0]), found);
    rest = rest.subarray(rest[0]);
  }
  return found;
}

/** Decode a packet's blocks; those after an unknown one cannot be found. */
function decodeBlocks(
  firstTag: number,
  firstNumber: number,
  data: Uint8Array,
  found: (Block | Battery)[],
): void {
  let [tag, number, rest] = [firstTag, firstNumber, data];
  for (;;) {
    const known = LENGTHS[tag];
    if (known === undefined || rest.length < known) return;
    const length = known === REST ? rest.length : known;
    found.push(...decodeBlock(tag, number, rest.subarray(0, length)));
    rest = rest.subarray(length);
    if (rest.length < BLOCK_HEADER) return;
    [tag, number] = [rest[0]!, rest[1]!];
    rest = rest.subarray(BLOCK_HEADER);
  }
}

function decodeBlock(tag: number, number: number, data: Uint8Array): (Block | Battery)[] {
  const eeg = ATHENA_EEG[tag];
  if (eeg) {
    // Sixteen values of 14 bits: a row of 4 or 8, of which the electrodes are the first.
    const [width, row] = [ELECTRODES.length, 16 / eeg.nTimes];
    const values = new Float32Array(eeg.nTimes * width);
    for (let at = 0; at < values.length; at++) {
      const code = lowBits(data, 14, Math.floor(at / width) * row + (at % width));
      values[at] = (code - 8192) * ATHENA_UV_PER_BIT;
    }
    return [samples(eeg, 0, number, values)];
  }
  const optics = ATHENA_OPTICS[tag];
  if (optics) {
    const length = optics.nTimes * optics.channels.length;
    const values = Float32Array.from({ length }, (_, at) => lowBits(data, 20, at));
    return [samples(optics, 0, number, values)];
  }
  if (tag === MOTION_TAG) {
    const value = (at: number): number => signed(data[2 * at]! | (data[2 * at + 1]! << 8));
    const three = (from: number, scale: number): Float32Array =>
      Float32Array.from(
        { length: 9 },
        (_, at) => value(Math.floor(at / 3) * 6 + from + (at % 3)) * scale,
      );
    return [
      samples(ATHENA_ACCELERATION, 0, number, three(0, G_PER_BIT)),
      samples(ATHENA_ROTATION, 0, number, three(3, -DEGREES_PER_BIT)),
    ];
  }
  if (CHARGE_TAGS.includes(tag) && data.length >= 2) return [battery(data[0]! | (data[1]! << 8))];
  return [];
}

/** The value of up to 24 bits at a place, packed from the lowest bit of the first byte up. */
function lowBits(data: Uint8Array, width: number, place: number): number {
  const bit = width * place;
  const at = bit >> 3;
  const four =
    data[at]! | (data[at + 1]! << 8) | ((data[at + 2] ?? 0) << 16) | ((data[at + 3] ?? 0) << 24);
  return (four >>> (bit & 7)) & ((1 << width) - 1);
}
