import { request } from './rest';

/** Choices for a new session. Requests throw an Error with the service's error detail. */
export interface CatalogApi {
  /** Search for headsets and LSL streams for this many seconds. */
  sources(seconds: number): Promise<Sources>;
  models(): Promise<ModelInfo[]>;
  people(): Promise<Person[]>;
  /** Recordings that can be replayed. */
  recordings(): Promise<NamedRecording[]>;
}

export interface Sources {
  headsets: Headset[];
  /** Headsets that can be connected, each once. */
  models: HeadsetModel[];
  streams: FoundStream[];
  /** `problem`: reason why Bluetooth could not be searched. */
  bluetooth: { present: boolean | null; detail: string; problem: string | null };
  /** Apps that send a Muse's samples to the service. */
  apps: PhoneApp[];
  simulations: { name: string; summary: string; url: string }[];
  /** Libraries that cannot be loaded, each with a remedy. */
  missing: string[];
}

/** An app, usually on a phone, that sends a Muse's samples by OSC. */
export interface PhoneApp {
  name: string;
  title: string;
  url: string;
  /** Address and port of the service for the app to send to; null if the service does not know it. */
  address: string | null;
  port: number;
  /** What to set in the app, one sentence. */
  setup: string;
}

/** A headset in range, as one board. A device that may be one of several is listed as each. */
export interface Headset {
  name: string;
  title: string;
  way: 'bluetooth' | 'serial';
  /** Signal strength in dBm; null if unknown. */
  rssi: number | null;
  url: string;
  /** Uncertainty about the device, or null. */
  note: string | null;
}

/** A model of a maker, with the ways to connect it, the best first. */
export interface HeadsetModel {
  maker: string;
  model: string;
  n_channels: number;
  /** Where the electrodes sit; empty if that is up to the person who wears them. */
  electrodes: string[];
  /** `..` in a URL is a placeholder. */
  ways: { way: 'bluetooth' | 'dongle' | 'cable' | 'wifi'; url: string }[];
  /** Reason why it cannot be used on the service's computer, or null. */
  problem: string | null;
}

export interface FoundStream {
  name: string;
  type: string;
  sfreq: number;
  n_channels: number;
  source_id: string;
  hostname: string;
  /** Null if the stream has no constant sampling rate. */
  url: string | null;
}

export interface ModelInfo {
  name: string;
  /** Reason why the model cannot be loaded; the other fields are empty then. */
  error: string | null;
  outputs: Record<string, string[]>;
  /** True if an output infers emotion. */
  emotion: boolean;
  montage: string[];
  /** Seconds of baseline that the model needs; 0 for none. */
  baseline: number;
  trained_on: string;
  /** By `protocol/output/measure`. */
  scores: Record<string, number>;
  licence: string;
  notice: string | null;
}

export interface NamedRecording {
  name: string;
  /** Name for people; null if it has none but `name`. */
  title: string | null;
}

export interface Person {
  person: string;
  notes: string | null;
  baselines: { montage: string[]; seconds: number; taken: string }[];
  recordings: string[];
  /** Reason why the person's file cannot be read. */
  damaged: string | null;
}

/** Pattern of a valid pseudonym; the service checks it too. */
export const PSEUDONYM = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,79}[A-Za-z0-9_-])?$/;

const PLAYABLE = ['finished', 'recovered', 'uploaded'];

export const catalogApi: CatalogApi = {
  sources: (seconds) => request('POST', `/v1/sources?timeout=${seconds}`),
  models: () => request('GET', '/v1/models'),
  people: () => request('GET', '/v1/people'),
  recordings: async () => {
    const all = await request<(NamedRecording & { state: string })[]>('GET', '/v1/recordings');
    return all.filter(({ state }) => PLAYABLE.includes(state));
  },
};
