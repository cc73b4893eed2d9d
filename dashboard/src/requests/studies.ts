import type { Rating } from './calibration';
import { Changed, NotFound, failureOf, fetchBlob, request, respond } from './rest';

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
  /** True if it comes with the program, and is only read. */
  shipped: boolean;
  /** Names its content now. */
  version: string;
}

/** A step with the fields of a protocol's file. A length that is no number is sent as it is typed. */
export interface ProtocolStep {
  text?: string;
  seconds?: number | string;
  sound?: string;
  speak?: string;
  marker?: string;
  rating?: boolean;
  hed?: string;
  feedback?: boolean;
}

/** The table of the feedback. What is no number is sent as it is typed. */
export interface ProtocolFeedback {
  quantity?: string;
  above?: number | string;
  below?: number | string;
  back?: number | string;
  values?: string;
  recordings?: string[];
  block?: number | string;
}

/** A protocol with the fields of its file. */
export interface Protocol {
  title?: string;
  description?: string;
  record?: boolean;
  wait_for_contact?: boolean;
  feedback?: ProtocolFeedback;
  step: ProtocolStep[];
}

export interface ReadProtocol {
  name: string;
  version: string;
  protocol: Protocol;
}

/** A mistake in a field of a step, from 1; null for the protocol, and for a step as a whole. */
export interface StudyMistake {
  step: number | null;
  field: string | null;
  problem: string;
}

/** Requests about studies. They throw an Error with the service's error detail. */
export interface StudyApi {
  list(): Promise<ListedStudy[]>;
  begin(session: string, study: string): Promise<void>;
  /** Answer the step that goes on: with a rating, or with null for a key. */
  answer(session: string, step: number, rating: Rating | null): Promise<void>;
  stop(session: string): Promise<void>;
  read(study: string): Promise<ReadProtocol>;
  /** The mistakes of a protocol; saves nothing. */
  check(protocol: Protocol): Promise<StudyMistake[]>;
  /** Save in place of a version; null for a new study. */
  save(study: string, protocol: Protocol, version: string | null): Promise<ReadProtocol>;
  /** Save a TOML file as a new study. */
  upload(study: string, file: Blob): Promise<ReadProtocol>;
  /** The TOML file. */
  download(study: string): Promise<Blob>;
  remove(study: string, version: string): Promise<void>;
}

const pathOf = (session: string): string => `/v1/sessions/${encodeURIComponent(session)}/study`;

const fileOf = (study: string): string => `/v1/studies/${encodeURIComponent(study)}`;

/** Headers with which only what was read is replaced. */
const replacing = (version: string | null): Record<string, string> =>
  version === null ? { 'If-None-Match': '*' } : { 'If-Match': `"${version}"` };

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
  read: (study) => request('GET', fileOf(study)),
  check: (protocol) => request('POST', '/v1/study-checks', { protocol }),
  save: async (study, protocol, version) => {
    try {
      return await request('PUT', fileOf(study), protocol, replacing(version));
    } catch (error) {
      if (!(error instanceof NotFound)) throw error;
      throw new Error('It was deleted meanwhile. Save it under another name.');
    }
  },
  upload: async (study, file) => {
    const headers = { 'Content-Type': 'application/octet-stream', ...replacing(null) };
    const answer = await respond(`${fileOf(study)}/file`, { method: 'PUT', headers, body: file });
    if (!answer.ok) throw await failureOf(answer);
    return (await answer.json()) as ReadProtocol;
  },
  download: (study) => fetchBlob(`${fileOf(study)}/file`),
  remove: async (study, version) => {
    try {
      await request('DELETE', fileOf(study), undefined, replacing(version));
    } catch (error) {
      if (!(error instanceof Changed)) throw error;
      throw new Error('It was changed meanwhile. Look at it again before you delete it.');
    }
  },
};
