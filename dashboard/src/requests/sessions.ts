import { ask } from './rest';

/** A session to open; null watches the signal only, or is nobody's. */
export interface NewSession {
  source: string;
  model: string | null;
  person: string | null;
}

/** How a session stands with its person's baseline, as in service/api/baselines.py. */
export interface Baseline {
  /** Seconds of the one that is being taken; 0 where none is. */
  wanted: number;
  taken: number;
  /** Of the one that is used; 0 where none is. */
  seconds: number;
  /** That the model was trained with; 0 where it uses none. */
  usual: number;
  person: string | null;
}

export interface NewBaseline {
  seconds?: number;
  person?: string;
}

/** What the page has the service do with sessions; a refusal is an Error in the service's words. */
export interface Steering {
  /** The new session's id, once its source is there. */
  open(wanted: NewSession): Promise<string>;
  close(session: string): Promise<void>;
  changeModel(session: string, model: string | null): Promise<void>;
  baseline(session: string): Promise<Baseline>;
  takeBaseline(session: string, wanted: NewBaseline): Promise<Baseline>;
  /** Use what is kept of a person. */
  useBaseline(session: string, person: string): Promise<Baseline>;
  /** Take no more, and go on by the one before. */
  breakOffBaseline(session: string): Promise<Baseline>;
}

const pathOf = (session: string): string => `/v1/sessions/${encodeURIComponent(session)}`;

export const steering: Steering = {
  open: async ({ source, model, person }) => {
    const wanted = { source, model: model ?? 'none', ...(person === null ? {} : { person }) };
    return (await ask<{ id: string }>('POST', '/v1/sessions', wanted)).id;
  },
  close: (session) => ask('DELETE', pathOf(session)),
  changeModel: async (session, model) => {
    await ask('PUT', `${pathOf(session)}/model`, { model });
  },
  baseline: (session) => ask('GET', `${pathOf(session)}/baseline`),
  takeBaseline: (session, wanted) => ask('POST', `${pathOf(session)}/baseline`, wanted),
  useBaseline: (session, person) => ask('PUT', `${pathOf(session)}/baseline`, { person }),
  breakOffBaseline: (session) => ask('DELETE', `${pathOf(session)}/baseline`),
};
