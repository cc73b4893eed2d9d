/** The markers' own labels, one for each of the keys 1 to 9, kept in this browser. */

const KEY = 'mimamba.labels';
export const KEYS = 9;
/** The service takes no longer ones. */
export const LONGEST_LABEL = 1024;

const usual = (): string[] => Array.from({ length: KEYS }, (_, n) => `Mark ${n + 1}`);

export type Kept = Pick<Storage, 'getItem' | 'setItem'>;

/** What is kept, or the usual ones; an empty label has no marker. */
export function readLabels(storage: Kept): string[] {
  try {
    const kept: unknown = JSON.parse(storage.getItem(KEY) ?? 'null');
    if (Array.isArray(kept))
      return usual().map((label, n) => (typeof kept[n] === 'string' ? kept[n] : label));
  } catch {
    // storage may be forbidden, and may hold anything
  }
  return usual();
}

export function keepLabels(storage: Kept, labels: readonly string[]): void {
  try {
    storage.setItem(KEY, JSON.stringify(labels));
  } catch {
    // they hold until the page is left
  }
}

/** Which label a key asks for, from 0; null where it is another key or goes into a field. */
export function labelOfKey(event: KeyboardEvent): number | null {
  const { altKey, ctrlKey, metaKey, repeat, code, key, target } = event;
  if (altKey || ctrlKey || metaKey || repeat || isField(target)) return null;
  // By its place, too: some keyboards have the digits behind Shift.
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(code)?.[1] ?? /^[1-9]$/.exec(key)?.[0];
  return digit === undefined ? null : Number(digit) - 1;
}

/** Whether a digit means something there. */
function isField(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || ['TEXTAREA', 'SELECT'].includes(target.tagName)) return true;
  const without = ['checkbox', 'radio', 'range', 'button', 'submit', 'file'];
  return target instanceof HTMLInputElement && !without.includes(target.type);
}
