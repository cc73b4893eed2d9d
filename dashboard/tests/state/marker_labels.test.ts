// @vitest-environment happy-dom
import { afterEach, describe, expect, it } from 'vitest';
import { keepLabels, labelOfKey, readLabels } from '../../src/state/marker_labels';

afterEach(() => localStorage.clear());

/** What a key pressed in an element asks for. */
function pressed(init: KeyboardEventInit, html = '<p></p>'): number | null {
  document.body.innerHTML = html;
  let found: number | null = null;
  const hear = (event: KeyboardEvent): void => void (found = labelOfKey(event));
  window.addEventListener('keydown', hear);
  document.body.firstElementChild!.dispatchEvent(
    new KeyboardEvent('keydown', { bubbles: true, ...init }),
  );
  window.removeEventListener('keydown', hear);
  return found;
}

describe('labels', () => {
  it('are kept, an empty one too', () => {
    expect(readLabels(localStorage)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `Mark ${n}`));
    const labels = readLabels(localStorage);
    [labels[0], labels[8]] = ['', 'Ende'];
    keepLabels(localStorage, labels);
    expect(readLabels(localStorage)).toEqual(labels);
  });

  it.each(['{', '7', '[1, null]', '{"0": "x"}'])('are the usual ones where %s is kept', (kept) => {
    localStorage.setItem('mimamba.labels', kept);
    expect(readLabels(localStorage)[0]).toBe('Mark 1');
    expect(readLabels(localStorage)).toHaveLength(9);
  });

  it('hold where nothing can be kept', () => {
    const forbidden = {
      getItem: () => {
        throw new Error('no');
      },
      setItem: () => {
        throw new Error('no');
      },
    };
    expect(readLabels(forbidden)).toHaveLength(9);
    expect(() => keepLabels(forbidden, ['a'])).not.toThrow();
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
  ])('%o asks for %s', (init, label) => {
    expect(pressed(init)).toBe(label);
  });

  it.each(['<input>', '<input type="number">', '<textarea></textarea>', '<select></select>'])(
    'in %s is typed there',
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
