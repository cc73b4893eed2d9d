/** Types of studies; field names are those of the service. */

/** Tones that a step can play. */
export type StudySound = 'begin' | 'end' | 'first' | 'second' | 'again' | 'done';

/** Where a study is now. */
export interface StudyProgress {
  /** Name of the protocol. */
  study: string;
  title: string;
  /** `contact` waits for good electrodes; `done` and `stopped` end it. */
  phase: 'contact' | 'step' | 'done' | 'stopped';
  /** Number of the step, from 1; 0 before the first one. */
  step: number;
  of: number;
  text: string | null;
  sound: StudySound | null;
  /** Sentence to speak. */
  speak: string | null;
  /** True if the person is asked how they feel. */
  rating: boolean;
  /** Seconds left at the message's timestamp; null if the step waits for an answer. */
  left: number | null;
  total: number | null;
  /** Seconds of all steps, and of those after this one, about. */
  planned: number;
  later: number;
  /** Name of the study's recording; null if there is none. */
  recording: string | null;
  /** Why it waits, or has stopped. */
  reason: string | null;
}
