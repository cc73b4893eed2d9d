/** Labels for the marker keys 1 to 9, saved in the browser. */

const STORAGE_KEY = 'mimamba.labels';
export const MARKER_KEYS = 9;
/** Limit of the service. */
export const MAX_LABEL_LENGTH = 1024;

const defaultLabels = (): string[] =>
  Array.from({ length: MARKER_KEYS }, (_, n) => `Mark ${n + 1}`);

export type LabelStorage = Pick<Storage, 'getItem' | 'setItem'>;

/** The saved labels, or the default ones. An empty label disables its key. */
export function loadLabels(storage: LabelStorage): string[] {
  try {
    const saved: unknown = JSON.parse(storage.getItem(STORAGE_KEY) ?? 'null');
    if (Array.isArray(saved))
      return defaultLabels().map((label, n) => (typeof saved[n] === 'string' ? saved[n] : label));
  } catch {
    // storage may be blocked, or hold anything
  }
  return defaultLabels();
}

export function saveLabels(storage: LabelStorage, labels: readonly string[]): void {
  try {
    storage.setItem(STORAGE_KEY, JSON.stringify(labels));
  } catch {
    // without storage the labels last until the page is closed
  }
}

/** Index of the label that a key press selects; null for other keys and while typing in a field. */
export function labelForKey(event: KeyboardEvent): number | null {
  const { altKey, ctrlKey, metaKey, repeat, code, key, target } = event;
  if (altKey || ctrlKey || metaKey || repeat || isField(target)) return null;
  // Also by the key's code: some layouts have the digits on Shift.
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(code)?.[1] ?? /^[1-9]$/.exec(key)?.[0];
  return digit === undefined ? null : Number(digit) - 1;
}

/** True if the element takes characters as input. */
export function isField(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || ['TEXTAREA', 'SELECT'].includes(target.tagName)) return true;
  const withoutDigits = ['checkbox', 'radio', 'range', 'button', 'submit', 'file'];
  return target instanceof HTMLInputElement && !withoutDigits.includes(target.type);
}
