/** A protocol as it is edited: every field is there, and empty where the file has none. */
import { PSEUDONYM } from '../requests/catalog';
import type { Protocol, ProtocolStep, StudyMistake } from '../requests/studies';
import { type FeedbackDraft, feedbackDraft, feedbackOf } from './feedback_draft';
import { typedNumber } from './typed_number';

export interface StepDraft {
  /** Tells the steps apart while they are moved. */
  key: number;
  text: string;
  /** As it is typed. */
  seconds: string;
  sound: string;
  speak: string;
  marker: string;
  rating: boolean;
  hed: string;
  /** Whether the study's feedback is given meanwhile. */
  feedback: boolean;
}

export interface Draft {
  name: string;
  title: string;
  description: string;
  record: boolean;
  waitForContact: boolean;
  feedback: FeedbackDraft;
  steps: StepDraft[];
}

let keys = 0;

/** A step; what is not given is empty. */
export const draftStep = (step: ProtocolStep = {}): StepDraft => ({
  key: ++keys,
  text: step.text ?? '',
  seconds: step.seconds === undefined ? '' : String(step.seconds),
  sound: step.sound ?? '',
  speak: step.speak ?? '',
  marker: step.marker ?? '',
  rating: step.rating ?? false,
  hed: step.hed ?? '',
  feedback: step.feedback ?? false,
});

export const draftOf = (name: string, protocol: Protocol): Draft => ({
  name,
  title: protocol.title ?? '',
  description: protocol.description ?? '',
  record: protocol.record ?? false,
  waitForContact: protocol.wait_for_contact ?? false,
  feedback: feedbackDraft(protocol.feedback),
  steps: protocol.step.map(draftStep),
});

/** A new study: recorded, with one step that waits for the person. */
export const newDraft = (): Draft => ({
  ...draftOf('', {
    step: [{ text: 'Sit comfortably. Press Space or Continue when you are ready.' }],
  }),
  record: true,
});

/** A text with plain spaces: one that was pasted may have tabs and spaces that do not break. */
const plain = (text: string): string => text.replace(/[\t\u00a0\u202f]/g, ' ');

/** The step with the fields of the file; those that are empty are left out. */
export function stepOf(step: StepDraft): ProtocolStep {
  const seconds = step.seconds.trim();
  return {
    ...(step.text.trim() ? { text: plain(step.text) } : {}),
    ...(seconds ? { seconds: typedNumber(seconds) } : {}),
    ...(step.sound ? { sound: step.sound } : {}),
    ...(step.speak.trim() ? { speak: plain(step.speak).trim() } : {}),
    ...(step.marker.trim() ? { marker: plain(step.marker).trim() } : {}),
    ...(step.rating ? { rating: true } : {}),
    ...(step.hed.trim() ? { hed: plain(step.hed).trim() } : {}),
    ...(step.feedback ? { feedback: true } : {}),
  };
}

export const givesFeedback = ({ steps }: Draft): boolean => steps.some(({ feedback }) => feedback);

/** True if feedback was typed that no step gives: the file has no table then. */
export const losesFeedback = (draft: Draft): boolean =>
  !givesFeedback(draft) && Object.keys(feedbackOf(draft.feedback)).length > 0;

export const protocolOf = (draft: Draft): Protocol => ({
  ...(draft.title.trim() ? { title: plain(draft.title).trim() } : {}),
  ...(draft.description.trim() ? { description: plain(draft.description).trim() } : {}),
  ...(draft.record ? { record: true } : {}),
  ...(draft.waitForContact ? { wait_for_contact: true } : {}),
  ...(givesFeedback(draft) ? { feedback: feedbackOf(draft.feedback) } : {}),
  step: draft.steps.map(stepOf),
});

/** A name for a file, from a title: "eyes-open". Empty if the title has no letter for it. */
export const nameFor = (title: string): string =>
  title
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, 60)
    .replace(/-+$/, '');

/** A name that no study has: "rest-2", "rest-3". */
export function freeName(name: string, taken: readonly string[]): string {
  const start = name.slice(0, 70);
  for (let n = 2; ; n++) if (!taken.includes(`${start}-${n}`)) return `${start}-${n}`;
}

/** A name for a file that is uploaded: its own, or one like it that is allowed and free. */
export function uploadName(file: string, taken: readonly string[]): string {
  const stem = file.replace(/\.toml$/i, '');
  const name = PSEUDONYM.test(stem) ? stem : nameFor(stem) || 'study';
  return taken.includes(name) ? freeName(name, taken) : name;
}

/** How many fields have a mistake, or several. */
export const wrongFields = (mistakes: readonly StudyMistake[]): number =>
  new Set(mistakes.map(({ step, field }) => `${step} ${field}`)).size;

/** What is wrong with the fields of a step, or with `null` of the protocol, by the field. */
export function problemsOf(
  mistakes: readonly StudyMistake[],
  step: number | null,
): Partial<Record<string, string>> {
  const own = mistakes.filter((each) => each.step === step).reverse();
  return Object.fromEntries(own.map(({ field, problem }) => [field ?? '', problem]));
}
