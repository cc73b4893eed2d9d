// @vitest-environment happy-dom
import { afterEach, describe, expect, it } from 'vitest';
import { labelForKey, loadLabels, saveLabels } from '../../src/state/marker_labels';

afterEach(() => localStorage.clear());

/** Label selected by a key pressed in an element. */
function pressed(init: KeyboardEventInit, html = '<p></p>'): number | null {
  document.body.innerHTML = html;
  let found: number | null = null;
  const listen = (event: KeyboardEvent): void => void (found = labelForKey(event));
  window.addEventListener('keydown', listen);
  document.body.firstElementChild!.dispatchEvent(
    new KeyboardEvent('keydown', { bubbles: true, ...init }),
  );
  window.removeEventListener('keydown', listen);
  return found;
}

describe('labels', () => {
  it('are saved, also empty ones', () => {
    expect(loadLabels(localStorage)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `Mark ${n}`));
    const labels = loadLabels(localStorage);
    [labels[0], labels[8]] = ['', 'Ende'];
    saveLabels(localStorage, labels);
    expect(loadLabels(localStorage)).toEqual(labels);
  });

  it.each(['{', '7', '[1, null]', '{"0": "x"}'])(
    'are the default ones if %s is stored',
    (stored) => {
      localStorage.setItem('mimamba.labels', stored);
      expect(loadLabels(localStorage)[0]).toBe('Mark 1');
      expect(loadLabels(localStorage)).toHaveLength(9);
    },
  );

  it('work without storage', () => {
    const forbidden = {
      getItem: () => {
        throw new Error('no');
      },
      setItem: () => {
        throw new Error('no');
      },
    };
    expect(loadLabels(forbidden)).toHaveLength(9);
    expect(() => saveLabels(forbidden, ['a'])).not.toThrow();
  });
});

describe('a key', () => {
  it.each([
    [{ key: '1', code: 'Digit1' }, 0],
    [{ key: '9', code: 'Numpad9' }, 8],
    [{ key: 'ç', code: 'Digit9' }, 8],
    [{ key: '0', code: 'Digit0' }, null],
    [{ key: 'a', code: 'KeyA' }, null],
    [{ key: '1', code: 'Digit1', ctrlKey: true }, null],
    [{ key: '1', code: 'Digit1', altKey: true }, null],
    [{ key: '1', code: 'Digit1', repeat: true }, null],
  ])('%o selects %s', (init, label) => {
    expect(pressed(init)).toBe(label);
  });

  it.each(['<input>', '<input type="number">', '<textarea></textarea>', '<select></select>'])(
    'in %s is typed text',
    (html) => {
      expect(pressed({ key: '1', code: 'Digit1' }, html)).toBeNull();
    },
  );

  it.each(['<button></button>', '<input type="range">', '<input type="checkbox">'])(
    'on %s sets a marker',
    (html) => {
      expect(pressed({ key: '1', code: 'Digit1' }, html)).toBe(0);
    },
  );
});
