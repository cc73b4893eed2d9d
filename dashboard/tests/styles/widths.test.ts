import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const SOURCES = join(import.meta.dirname, '../../src');
/** A block of rules for some widths, with rules of one level in it. */
const BLOCK = /@(?:media|container) \(((?:min|max)-width)[^{]*\{((?:[^{}]*\{[^{}]*\})*)\s*\}/g;
/** Properties that colour something, or show a text. */
const COLOURS = /(?:^|[\s;{])(?:color|background[\w-]*|opacity|content|visibility)\s*:/;

const blocks = readdirSync(SOURCES, { recursive: true, encoding: 'utf-8' })
  .filter((name) => /\.(svelte|css)$/.test(name))
  .flatMap((name) => {
    const text = readFileSync(join(SOURCES, name), 'utf-8').replace(/\/\*[^]*?\*\//g, '');
    return [...text.matchAll(BLOCK)].map(([, kind, rules]) => ({ name, kind, rules: rules! }));
  });

// So the page's tests look at contrast on a desktop alone.
describe('rules for narrow windows', () => {
  it('are found', () => expect(blocks.length).toBeGreaterThan(5));

  it.each(blocks)('of $name change no colour, and show no other text', ({ kind, rules }) => {
    expect(rules).not.toMatch(COLOURS);
    const display = [...rules.matchAll(/display:\s*([\w-]+)/g)].map(([, value]) => value);
    // What is hidden on a wide window, or shown on a narrow one, is not on a desktop.
    expect(kind === 'max-width' ? display.filter((each) => each !== 'none') : []).toEqual([]);
    expect(kind === 'min-width' ? display.filter((each) => each === 'none') : []).toEqual([]);
  });
});
