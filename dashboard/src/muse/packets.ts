/**
 * Decoder of a Muse's notifications: bytes in, blocks of EEG and battery charge out.
 *
 * The formats, and the sources that state them, are those of drivers/muse/packets.py; a test compares
 * both decoders on the same notifications (tests/drivers/muse/test_page_decoder.py).
 */
import { ATHENA, EEG, ELECTRODES, TELEMETRY } from './protocol';

/** How a model sends its EEG. */
export interface Format {
  /** Numbers of blocks run from 0 to `nNumbers - 1` and start again. */
  nNumbers: number;
  /** Samples in a block. */
  nTimes: number;
  /** Parts, each with some of the channels, that make a block with the same number. */
  nParts: number;
}

/** Samples with one number; `values` is time-major, in µV. */
export interface Block {
  kind: 'eeg';
  format: Format;
  part: number;
  number: number;
  values: Float32Array;
}

/** The battery's charge, percent. */
export interface Battery {
  kind: 'battery';
  charge: number;
}

export const SFREQ = 256;
const UV_PER_BIT = 125 / 256;
const ATHENA_UV_PER_BIT = Math.fround(1450 / 16383);
const PERCENT_PER_BIT = 1 / 512;

export const CLASSIC: Format = { nNumbers: 2 ** 16, nTimes: 12, nParts: 4 };
/** By tag. With 0x12 four more channels follow the electrodes; they are left out. */
const ATHENA_FORMATS: Record<number, Format> = {
  0x11: { nNumbers: 256, nTimes: 4, nParts: 1 },
  0x12: { nNumbers: 256, nTimes: 2, nParts: 1 },
};
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
  const part = EEG.indexOf(characteristic);
  return part < 0 ? [] : [decodeElectrode(part, data)];
}

const bigEndian = (data: Uint8Array, at: number): number => (data[at]! << 8) | data[at + 1]!;

const battery = (bits: number): Battery => ({
  kind: 'battery',
  charge: Math.min(bits * PERCENT_PER_BIT, 100),
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
  return { kind: 'eeg', format: CLASSIC, part, number: bigEndian(data, 0), values };
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
    const format = ATHENA_FORMATS[tag];
    if (format) found.push(decodeAthena(format, number, rest.subarray(0, length)));
    else if (CHARGE_TAGS.includes(tag) && length >= 2)
      found.push(battery(rest[0]! | (rest[1]! << 8)));
    rest = rest.subarray(length);
    if (rest.length < BLOCK_HEADER) return;
    [tag, number] = [rest[0]!, rest[1]!];
    rest = rest.subarray(BLOCK_HEADER);
  }
}

/** Sixteen values of 14 bits, the lowest bit of the first byte first. */
function decodeAthena(format: Format, number: number, data: Uint8Array): Block {
  const [width, row] = [ELECTRODES.length, 16 / format.nTimes];
  const values = new Float32Array(format.nTimes * width);
  for (let time = 0; time < format.nTimes; time++)
    for (let channel = 0; channel < width; channel++) {
      const bit = 14 * (time * row + channel);
      const at = bit >> 3;
      const three = data[at]! | (data[at + 1]! << 8) | ((data[at + 2] ?? 0) << 16);
      const code = (three >> (bit & 7)) & 0x3fff;
      values[time * width + channel] = (code - 8192) * ATHENA_UV_PER_BIT;
    }
  return { kind: 'eeg', format, part: 0, number, values };
}
