import type { Rating } from './calibration';
import { request } from './rest';

/** A protocol in the list; with a `problem` the other fields say nothing. */
export interface ListedStudy {
  name: string;
  title: string;
  description: string;
  steps: number;
  /** Length in seconds, about. */
  seconds: number;
  record: boolean;
  wait_for_contact: boolean;
  /** Mistake in its file, or null. */
  problem: string | null;
}

/** Requests about studies. They throw an Error with the service's error detail. */
export interface StudyApi {
  list(): Promise<ListedStudy[]>;
  begin(session: string, study: string): Promise<void>;
  /** Answer the step that goes on: with a rating, or with null for a key. */
  answer(session: string, step: number, rating: Rating | null): Promise<void>;
  stop(session: string): Promise<void>;
}

const pathOf = (session: string): string => `/v1/sessions/${encodeURIComponent(session)}/study`;

export const studyApi: StudyApi = {
  list: () => request('GET', '/v1/studies'),
  begin: async (session, study) => {
    await request('POST', pathOf(session), { study });
  },
  answer: async (session, step, rating) => {
    await request('POST', `${pathOf(session)}/answers`, { step, ...rating });
  },
  stop: async (session) => {
    await request('DELETE', pathOf(session));
  },
};
