/** Notices about inferred emotion that were acknowledged in this browser. */

import type { SeenNotice } from '../requests/people';
import type { LabelStorage } from './marker_labels';

const STORAGE_KEY = 'mimamba.notices';

interface SeenHere extends SeenNotice {
  /** Null for nobody in particular. */
  person: string | null;
}

/** Notices that this person, or nobody in particular, has seen here. */
export const seenHere = (storage: LabelStorage, person: string | null): SeenNotice[] =>
  load(storage).filter((each) => each.person === person);

/** Keep that a notice was seen here. */
export function keepHere(storage: LabelStorage, person: string | null, seen: SeenNotice): void {
  save(storage, [...load(storage), { ...seen, person }]);
}

/** Forget a person who was deleted. */
export function forgetHere(storage: LabelStorage, person: string): void {
  save(
    storage,
    load(storage).filter((each) => each.person !== person),
  );
}

function load(storage: LabelStorage): SeenHere[] {
  try {
    const saved: unknown = JSON.parse(storage.getItem(STORAGE_KEY) ?? '[]');
    if (Array.isArray(saved)) return saved.filter(isSeen);
  } catch {
    // storage may be blocked, or hold anything
  }
  return [];
}

function isSeen(each: unknown): each is SeenHere {
  const { outputs, date } = (each ?? {}) as Partial<SeenHere>;
  return typeof outputs === 'object' && outputs !== null && typeof date === 'string';
}

function save(storage: LabelStorage, seen: SeenHere[]): void {
  try {
    storage.setItem(STORAGE_KEY, JSON.stringify(seen));
  } catch {
    // without storage the notice is shown again next time
  }
}
