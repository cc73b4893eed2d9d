/** The progress of a study that only this page shows. */
import type { FeedbackMessage, StudyProgress } from 'mimamba-client';
import type { Protocol, ProtocolFeedback } from '../requests/studies';
import { UNKNOWN } from './course';

/** Text of a step with a rating that has none, as the service has it. */
const QUESTION = 'How do you feel right now?';

/** The progress at the start of a step, from 1. */
export function previewProgress(title: string, protocol: Protocol, number: number): StudyProgress {
  const lengths = protocol.step.map(({ seconds }) => Number(seconds ?? UNKNOWN));
  const sum = (from: number): number => lengths.slice(from).reduce((a, b) => a + b, 0);
  const step = protocol.step[number - 1]!;
  const total = step.seconds === undefined ? null : Number(step.seconds);
  return {
    study: '',
    title,
    phase: 'step',
    step: number,
    of: protocol.step.length,
    text: step.text ?? QUESTION,
    sound: step.sound ?? null,
    speak: step.speak ?? null,
    rating: step.rating ?? false,
    left: total,
    total,
    planned: sum(0),
    later: sum(number),
    recording: null,
    reason: null,
    feedback: step.feedback ?? false,
  };
}

/** Seconds in which the values of a preview go up and down once. */
export const SAMPLE_SECONDS = 16;
/** Way back beyond the threshold of a protocol that has none, as the service has it. */
const BACK = 0.05;

/** A made-up value from 0 to 1, which moves slowly: every threshold is passed. */
export const sampleValue = (seconds: number): number =>
  0.5 - 0.5 * Math.cos((2 * Math.PI * seconds) / SAMPLE_SECONDS);

/** The state of feedback, and its threshold. */
type State = FeedbackMessage['state'];
type Threshold = Pick<State, 'side' | 'at' | 'back'>;

/** The threshold of a protocol without a mistake. */
export const previewThreshold = ({ above, below, back }: ProtocolFeedback): Threshold => ({
  side: below === undefined ? 'above' : 'below',
  at: Number(below ?? above),
  back: Number(back ?? BACK),
});

/** The state of feedback with a made-up value. */
export const previewFeedback = (
  threshold: Threshold,
  quantity: string,
  value: number,
  on: boolean,
): State => ({
  ...threshold,
  quantity,
  running: true,
  value,
  on,
  reason: null,
  recording: '',
  blind: true,
});
