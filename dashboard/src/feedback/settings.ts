/** Choices of the feedback view; all but those that tell whose values are shown outlive a reload. */
import type { FeedbackChoice } from './study_requests';
import type { Threshold } from './threshold';

/** Whose values feedback shows: without a log those of the headset (`free`), or for a study. */
export type ValuesOf = 'free' | FeedbackChoice;

export interface FeedbackSettings extends Threshold {
  /** Key of the quantity; null for the first one. */
  quantity: string | null;
  /** Electrode of a band; null for all. */
  channel: string | null;
  sound: boolean;
  values: ValuesOf;
  /** Names of recordings for a sham. */
  recordings: string[];
}

/** Choices that the page forgets: the wearer may see it after they had a sham. */
export const forgotten = (): Pick<FeedbackSettings, 'values' | 'recordings'> => ({
  values: 'free',
  recordings: [],
});

export const USUAL: FeedbackSettings = {
  quantity: null,
  channel: null,
  side: 'above',
  at: 0.6,
  back: 0.05,
  sound: true,
  ...forgotten(),
};

const KEY = 'mimamba feedback';

/** Settings of the last time, as far as they are valid. */
export function savedSettings(): FeedbackSettings {
  try {
    const saved: unknown = JSON.parse(localStorage.getItem(KEY) ?? 'null');
    return typeof saved === 'object' && saved !== null ? valid(saved) : USUAL;
  } catch {
    return USUAL; // a browser may forbid storage, and a person may have changed it
  }
}

export function saveSettings(settings: FeedbackSettings): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...settings, ...forgotten() }));
  } catch {
    // the next time begins with the usual settings
  }
}

function valid(saved: Partial<Record<keyof FeedbackSettings, unknown>>): FeedbackSettings {
  const share = (value: unknown, usual: number): number =>
    typeof value === 'number' && value >= 0 && value <= 1 ? value : usual;
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  return {
    quantity: text(saved.quantity),
    channel: text(saved.channel),
    side: saved.side === 'below' ? 'below' : 'above',
    at: share(saved.at, USUAL.at),
    back: share(saved.back, USUAL.back),
    sound: saved.sound !== false,
    ...forgotten(),
  };
}
