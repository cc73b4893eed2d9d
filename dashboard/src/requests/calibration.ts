import type { CalibrationProgress, HeadCard, RatingMessage, VerdictNote } from 'mimamba-client';
import { NotFound, request } from './rest';

export type ContrastName = 'calm-strained' | 'pleasant-unpleasant' | 'own';

/** How a person says that they feel, 0 to 100. */
export interface Rating {
  valence: number;
  arousal: number;
}

/** Lengths of a plan, in pairs of blocks and seconds. */
export interface Plan {
  pairs: number;
  seconds: number;
  rest: number;
  cue: number;
  pause: number;
}

/** The service's own plan, and the limits that it checks. */
export const USUAL_PLAN: Plan = { pairs: 6, seconds: 30, rest: 60, cue: 6, pause: 6 };
export const PLAN_LIMITS: Record<keyof Plan, readonly [number, number]> = {
  pairs: [4, 12],
  seconds: [6, 120],
  rest: [10, 600],
  cue: [1, 60],
  pause: [1, 60],
};

/** A calibration to begin, or check blocks for a head of an earlier day. */
export type NewCalibration =
  | ({
      person: string;
      contrast: ContrastName;
      kinds?: readonly [string, string];
      /** False begins anew where one of today could go on. */
      resume: boolean;
    } & Partial<Plan>)
  | { person: string; check: string };

export interface Calibration extends Plan {
  id: string;
  session: string;
  person: string;
  contrast: ContrastName;
  kinds: [string, string];
  dimension: 'valence' | 'arousal' | null;
  day: string;
  /** Number of this attempt today. */
  attempt: number;
  purpose: 'calibrate' | 'check';
  resumed: number;
  /** SHA-256 of the drawn order, known before the first block. */
  plan_hash: string;
  plan: { text: string } | null;
  progress: CalibrationProgress;
  /** Blocks that are done, in order; the ratings are null before they are given. */
  blocks: { kind: string; valence: number | null; arousal: number | null; good: number }[];
  /** Blocks that were done again. */
  repeated: number;
  verdict: VerdictNote | null;
  /** Result of check blocks. */
  check?: { right: number; of: number; confirmed: boolean } | null;
  reason: string | null;
}

/** A calibration in the list of a person. */
export interface ListedCalibration {
  id: string;
  contrast: ContrastName;
  kinds: [string, string];
  day: string;
  block: number;
  of: number;
  phase: CalibrationProgress['phase'];
  resumable: boolean;
  purpose?: Calibration['purpose'];
  /** Head that is checked. */
  head?: string | null;
}

/** Agreement of predictions and ratings, from eight ratings on. */
export interface Agreement {
  n: number;
  spearman: number | null;
  spearman_interval: [number, number] | null;
  ccc: number | null;
  ccc_interval: [number, number] | null;
  source: 'personal' | 'model';
}

export interface Ratings {
  ratings: Omit<RatingMessage, 'type'>[];
  agreement: Record<keyof Rating, Agreement | null>;
}

/** Requests about calibrations. They throw an Error with the service's error detail. */
export interface CalibrationApi {
  /** The latest calibration of a session; null if it has had none. */
  read(session: string): Promise<Calibration | null>;
  begin(session: string, calibration: NewCalibration): Promise<Calibration>;
  /** Rate the block that has just ended. */
  rate(session: string, rating: Rating, answer: number | null): Promise<Calibration>;
  /** Judge the blocks that are there. */
  finish(session: string): Promise<Calibration>;
  stop(session: string): Promise<Calibration>;
  /** Calibrations of a person, newest first. */
  list(person: string): Promise<ListedCalibration[]>;
  heads(person: string): Promise<HeadCard[]>;
  deleteHead(person: string, head: string): Promise<void>;
  /** Use a head in a session, or none. */
  useHead(session: string, head: HeadCard | null): Promise<void>;
  /** Rate how one feels now. */
  feel(session: string, rating: Rating): Promise<void>;
  ratings(session: string): Promise<Ratings>;
}

const sessionPath = (session: string): string => `/v1/sessions/${encodeURIComponent(session)}`;
const personPath = (person: string): string => `/v1/people/${encodeURIComponent(person)}`;

/** The value, or this one if there is no such thing. */
async function orIfMissing<T, Missing>(value: Promise<T>, missing: Missing): Promise<T | Missing> {
  try {
    return await value;
  } catch (error) {
    if (error instanceof NotFound) return missing;
    throw error;
  }
}

export const calibrationApi: CalibrationApi = {
  read: (session) => orIfMissing(request('GET', `${sessionPath(session)}/calibration`), null),
  begin: (session, calibration) =>
    request('POST', `${sessionPath(session)}/calibration`, calibration),
  rate: (session, rating, answer) =>
    request('POST', `${sessionPath(session)}/calibration/ratings`, { ...rating, answer }),
  finish: (session) => request('POST', `${sessionPath(session)}/calibration/finish`),
  stop: (session) => request('DELETE', `${sessionPath(session)}/calibration`),
  list: (person) => orIfMissing(request('GET', `${personPath(person)}/calibrations`), []),
  heads: (person) => orIfMissing(request('GET', `${personPath(person)}/heads`), []),
  deleteHead: (person, head) => {
    const name = encodeURIComponent(head);
    return request('DELETE', `${personPath(person)}/heads/${name}?confirm=${name}`);
  },
  useHead: async (session, head) => {
    const body = head ? { person: head.person, head: head.id } : { head: null };
    await request('PUT', `${sessionPath(session)}/head`, body);
  },
  feel: async (session, rating) => {
    await request('POST', `${sessionPath(session)}/ratings`, rating);
  },
  ratings: (session) => request('GET', `${sessionPath(session)}/ratings`),
};
