import { ask } from './rest';

/** What a session can be made of, as in drivers/discovery/discover.py, drivers/discovery/headsets.py, models/checkpoints/catalog.py, service/recordings/people_index.py. */
export interface Offers {
  /** Listens for headsets and LSL streams for so many seconds. */
  sources(seconds: number): Promise<Sources>;
  models(): Promise<OfferedModel[]>;
  people(): Promise<Person[]>;
  /** Those that can be played. */
  recordings(): Promise<string[]>;
}

export interface Sources {
  headsets: Headset[];
  boards: Board[];
  streams: FoundStream[];
  /** `problem` says why headsets could not be listened for. */
  bluetooth: { present: boolean | null; detail: string; problem: string | null };
  simulations: { name: string; summary: string; url: string }[];
  /** Which libraries do not load, and what to do. */
  missing: string[];
}

/** One that is near, as one board; where several are possible it is there as each. */
export interface Headset {
  name: string;
  title: string;
  way: 'bluetooth' | 'serial';
  /** dBm; null where that is not known. */
  rssi: number | null;
  url: string;
  /** What is not certain of it. */
  note: string | null;
}

/** `..` in the URL is to be filled in. */
export interface Board {
  name: string;
  title: string | null;
  url: string;
}

export interface FoundStream {
  name: string;
  type: string;
  sfreq: number;
  n_channels: number;
  source_id: string;
  hostname: string;
  /** Null where it is no signal of an even rate. */
  url: string | null;
}

export interface OfferedModel {
  name: string;
  /** Why it cannot be used; the facts below are empty then. */
  error: string | null;
  outputs: Record<string, string[]>;
  montage: string[];
  /** Seconds of the person's rest that it wants; 0 where none. */
  baseline: number;
  trained_on: string;
  /** By `protocol/output/measure`. */
  scores: Record<string, number>;
  licence: string;
  notice: string | null;
}

export interface Person {
  person: string;
  notes: string | null;
  baselines: { montage: string[]; seconds: number; taken: string }[];
  recordings: string[];
  /** What is wrong with the person's file. */
  damaged: string | null;
}

const PLAYABLE = ['finished', 'recovered', 'uploaded'];

export const offers: Offers = {
  sources: (seconds) => ask('GET', `/v1/sources?timeout=${seconds}`),
  models: () => ask('GET', '/v1/models'),
  people: () => ask('GET', '/v1/people'),
  recordings: async () => {
    const all = await ask<{ name: string; state: string }[]>('GET', '/v1/recordings');
    return all.filter(({ state }) => PLAYABLE.includes(state)).map(({ name }) => name);
  },
};
