import type { Electrode, LinkMessage, Model, StreamInfo } from 'mimamba-client';
import { request } from './rest';

/** One session in the list of sessions. */
export interface ListedSession {
  id: string;
  state: 'opening' | 'open' | 'ended';
  reason: string | null;
  source: string;
  info: StreamInfo | null;
  model: Model | null;
  outputs: Record<string, string[]> | null;
  montage: Electrode[] | null;
  delay: number | null;
  link: Pick<LinkMessage, 'timestamp' | 'event' | 'detail'> | null;
  seekable: boolean;
  /** Charge of the headset's battery, percent; null if it reports none. */
  battery: number | null;
  person: string | null;
  /** Title of the recording that it plays; null without one. */
  title: string | null;
}

/** A session to open. Without a person it is anonymous. */
export interface NewSession {
  source: string;
  /** Null shows the signal only; undefined plays a recording with its own model. */
  model: string | null | undefined;
  person: string | null;
}

/** Baseline state of a session; all durations in seconds, 0 for none. */
export interface Baseline {
  /** Length of the baseline that is being taken. */
  wanted: number;
  /** Part of it that is done. */
  taken: number;
  /** Length of the baseline in use. */
  seconds: number;
  /** Length that the model was trained with. */
  usual: number;
  person: string | null;
}

export interface NewBaseline {
  seconds?: number;
  person?: string;
}

/** Session requests. They throw an Error with the service's error detail. */
export interface SessionApi {
  /** Open a session and return its id once the source is connected. */
  open(session: NewSession): Promise<string>;
  close(session: string): Promise<void>;
  setModel(session: string, model: string | null): Promise<void>;
  baseline(session: string): Promise<Baseline>;
  takeBaseline(session: string, baseline: NewBaseline): Promise<Baseline>;
  /** Use the saved baseline of a person. */
  useBaseline(session: string, person: string): Promise<Baseline>;
  /** Stop taking a baseline and keep the previous one. */
  cancelBaseline(session: string): Promise<Baseline>;
}

const pathOf = (session: string): string => `/v1/sessions/${encodeURIComponent(session)}`;

export const listSessions = (): Promise<ListedSession[]> => request('GET', '/v1/sessions');

export const sessionApi: SessionApi = {
  open: async ({ source, model, person }) => {
    const body = {
      source,
      ...(model === undefined ? {} : { model: model ?? 'none' }),
      ...(person === null ? {} : { person }),
    };
    return (await request<{ id: string }>('POST', '/v1/sessions', body)).id;
  },
  close: (session) => request('DELETE', pathOf(session)),
  setModel: async (session, model) => {
    await request('PUT', `${pathOf(session)}/model`, { model });
  },
  baseline: (session) => request('GET', `${pathOf(session)}/baseline`),
  takeBaseline: (session, baseline) => request('POST', `${pathOf(session)}/baseline`, baseline),
  useBaseline: (session, person) => request('PUT', `${pathOf(session)}/baseline`, { person }),
  cancelBaseline: (session) => request('DELETE', `${pathOf(session)}/baseline`),
};
