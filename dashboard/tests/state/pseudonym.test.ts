import { describe, expect, it } from 'vitest';
import type { Person } from '../../src/requests/catalog';
import { personWords } from '../../src/state/pseudonym';

const rest = { montage: ['TP9', 'AF7'], seconds: 60, taken: '2026-01-02T03:04:05+00:00' };
const people: Person[] = [
  { person: 'P01', notes: null, baselines: [rest], recordings: [], damaged: null },
  { person: 'P02', notes: null, baselines: [], recordings: [], damaged: null },
  { person: 'P03', notes: null, baselines: [], recordings: [], damaged: 'not JSON' },
];

describe('personWords', () => {
  it.each([
    ['', 'Nobody: no baseline is kept.'],
    ['P01', 'P01 is known: 60 s of rest (TP9, AF7, 2026-01-02).'],
    ['P02', 'P02 is known: no rest is kept.'],
    ['P03', 'not JSON'],
    ['P04', 'P04 is new, and will be known from now on.'],
  ])('%s', (name, words) => expect(personWords(name, people)).toBe(words));

  it.each(['../P01', 'P 01', 'P01.', '.P01', 'P'.repeat(82)])('refuses %s', (name) =>
    expect(personWords(name, people)).toContain('no real name'),
  );
});
