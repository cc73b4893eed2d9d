import { ask } from './rest';

/** How a session's recording is played, as in service/replay_api.py. */
export interface Replay {
  /** Of the next sample, seconds: its index divided by sfreq. */
  position: number;
  length: number;
  speed: number | 'max';
  paused: boolean;
  loop: boolean;
}

export type ReplayChange = Partial<Omit<Replay, 'length'>>;

/** Reads and changes it; a refusal is an Error in the service's words. */
export interface Replays {
  read(session: string): Promise<Replay>;
  change(session: string, change: ReplayChange): Promise<Replay>;
}

const pathOf = (session: string): string => `/v1/sessions/${encodeURIComponent(session)}/replay`;

export const replays: Replays = {
  read: (session) => ask('GET', pathOf(session)),
  change: (session, change) => ask('POST', pathOf(session), change),
};
