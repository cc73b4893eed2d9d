/** The feedback of a protocol as it is edited: every field is there, and empty without a value. */
import type { ProtocolFeedback } from '../requests/studies';
import { typedNumber } from './typed_number';

export interface FeedbackDraft {
  quantity: string;
  side: 'above' | 'below';
  /** As they are typed. */
  at: string;
  back: string;
  values: string;
  /** Names of recordings for a sham. */
  recordings: string[];
  block: string;
}

const typed = (value: number | string | undefined): string =>
  value === undefined ? '' : String(value);

export const feedbackDraft = (feedback: ProtocolFeedback = {}): FeedbackDraft => ({
  quantity: feedback.quantity ?? '',
  side: feedback.below === undefined ? 'above' : 'below',
  at: typed(feedback.below ?? feedback.above),
  back: typed(feedback.back),
  values: feedback.values ?? 'real',
  recordings: [...(feedback.recordings ?? [])],
  block: typed(feedback.block),
});

/** The table with the fields of the file; those that are empty are left out. */
export function feedbackOf(draft: FeedbackDraft): ProtocolFeedback {
  const [at, back, block] = [draft.at, draft.back, draft.block].map((each) => each.trim());
  return {
    ...(draft.quantity.trim() ? { quantity: draft.quantity.trim() } : {}),
    ...(at ? { [draft.side]: typedNumber(at) } : {}),
    ...(back ? { back: typedNumber(back) } : {}),
    ...(draft.values === 'real' ? {} : { values: draft.values }),
    ...(draft.values !== 'real' && draft.recordings.length
      ? { recordings: [...draft.recordings] }
      : {}),
    ...(draft.values === 'balanced' && block ? { block: typedNumber(block) } : {}),
  };
}
