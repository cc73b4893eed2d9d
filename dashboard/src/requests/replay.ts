import { ask } from './rest';
import type { Recorded } from '../state/timeline';

/** A marker of the recording, and its position in seconds. */
export interface Place {
  position: number;
  label: string;
  source: string;
}

/** How a session's recording is played, as in service/api/replay.py. */
export interface Replay {
  /** Of the next sample, seconds: its index divided by sfreq. */
  position: number;
  length: number;
  speed: number | 'max';
  paused: boolean;
  loop: boolean;
  markers: Place[];
}

export type ReplayChange = Partial<Omit<Replay, 'length' | 'markers'>>;

/** Reads and changes it; a refusal is an Error in the service's words. */
export interface Replays {
  read(session: string): Promise<Replay>;
  change(session: string, change: ReplayChange): Promise<Replay>;
  /** The predictions that the recording itself holds. */
  timeline(session: string): Promise<Recorded>;
}

const pathOf = (session: string): string => `/v1/sessions/${encodeURIComponent(session)}`;

export const replays: Replays = {
  read: (session) => ask('GET', `${pathOf(session)}/replay`),
  change: (session, change) => ask('POST', `${pathOf(session)}/replay`, change),
  timeline: (session) => ask('GET', `${pathOf(session)}/timeline`),
};
