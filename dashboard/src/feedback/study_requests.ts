import { request } from '../requests/rest';

/** Values of feedback for a study: the wearer's own, those of another recording, or a draw of both. */
export type FeedbackChoice = 'real' | 'sham' | 'drawn';

export interface NewFeedback {
  /** As in rules: OUTPUT/LABEL, personal/STATE, band/BAND or band/BAND/ELECTRODE. */
  quantity: string;
  side: 'above' | 'below';
  at: number;
  back: number;
  source: FeedbackChoice;
  /** Names of recordings for a sham. */
  recordings: string[];
  /** Tell nobody whose values are shown before the recording has ended. */
  blind: boolean;
}

/** Feedback as a finished recording has it. */
export interface FeedbackRun {
  id: string;
  source: 'real' | 'sham';
  /** Recording whose values were shown, or null. */
  sham: string | null;
  /** Seconds from that recording's first value. */
  sham_from: number;
  passes: number;
  /** Seconds from the recording's first sample. */
  began: number;
  ended: number;
  /** Seconds with feedback, and without a value. */
  on: number;
  silent: number;
}

/** A recording that a sham may show. */
export interface ShamRecording {
  name: string;
  /** Name for people; null if it has none but `name`. */
  title: string | null;
  person: string | null;
  /** ISO 8601, or null. */
  started: string | null;
  /** Length of the signal; null if it is not known. */
  seconds: number | null;
}

/** Requests about feedback for studies. They throw an Error with the service's error detail. */
export interface FeedbackApi {
  /** Recordings that have values of a quantity, the newest first. */
  recordings(quantity: string): Promise<ShamRecording[]>;
  begin(session: string, feedback: NewFeedback): Promise<void>;
  stop(session: string): Promise<void>;
  /** Feedback that is logged in a finished recording: this unblinds it. */
  logged(recording: string): Promise<FeedbackRun[]>;
}

const pathOf = (session: string): string => `/v1/sessions/${encodeURIComponent(session)}/feedback`;

export const feedbackApi: FeedbackApi = {
  recordings: (quantity) =>
    request('GET', `/v1/sham-recordings?quantity=${encodeURIComponent(quantity)}`),
  begin: async (session, feedback) => {
    await request('POST', pathOf(session), feedback);
  },
  stop: async (session) => {
    await request('DELETE', pathOf(session));
  },
  logged: (recording) => request('GET', `/v1/recordings/${encodeURIComponent(recording)}/feedback`),
};
