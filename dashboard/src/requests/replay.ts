import { request } from './rest';

/** A marker of the recording; `position` in seconds from its start. */
export interface RecordedMarker {
  position: number;
  label: string;
  source: string;
}

/** Playback state of a session's recording. */
export interface Replay {
  /** Position of the next sample, seconds: its index divided by sfreq. */
  position: number;
  length: number;
  speed: number | 'max';
  paused: boolean;
  loop: boolean;
  markers: RecordedMarker[];
}

export type ReplayChange = Partial<Omit<Replay, 'length' | 'markers'>>;

/** The predictions that are stored in a recording. */
export interface RecordedPredictions {
  model: string | null;
  /** Seconds from the recording's start. */
  position: number[];
  outputs: Record<string, Record<string, (number | null)[]>>;
}

/** Playback requests. They throw an Error with the service's error detail. */
export interface ReplayApi {
  read(session: string): Promise<Replay>;
  change(session: string, change: ReplayChange): Promise<Replay>;
  predictions(session: string): Promise<RecordedPredictions>;
}

const pathOf = (session: string): string => `/v1/sessions/${encodeURIComponent(session)}`;

export const replayApi: ReplayApi = {
  read: (session) => request('GET', `${pathOf(session)}/replay`),
  change: (session, change) => request('POST', `${pathOf(session)}/replay`, change),
  predictions: (session) => request('GET', `${pathOf(session)}/timeline`),
};
