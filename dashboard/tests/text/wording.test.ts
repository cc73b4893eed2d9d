import { describe, expect, it } from 'vitest';
import type { Person } from '../../src/requests/catalog';
import { clockTime, fileSize, personHint, sentence } from '../../src/text/wording';

it.each([
  [0, '0:00'],
  [63.9, '1:03'],
  [7203, '2:00:03'],
])('%f s is %s', (seconds, time) => {
  expect(clockTime(seconds)).toBe(time);
});

it.each([
  [0, '0 kB'],
  [1001, '2 kB'],
  [3_440_000, '3.4 MB'],
  [2_000_000_000, '2.0 GB'],
])('%i bytes are %s', (bytes, size) => {
  expect(fileSize(bytes)).toBe(size);
});

it.each([
  ['the disk is full', 'The disk is full.'],
  ['Token not accepted.', 'Token not accepted.'],
  ['is it on?', 'Is it on?'],
])('%s becomes a sentence', (text, expected) => {
  expect(sentence(text)).toBe(expected);
});

describe('personHint', () => {
  const baseline = { montage: ['TP9', 'AF7'], seconds: 60, taken: '2026-01-02T03:04:05+00:00' };
  const people: Person[] = [
    { person: 'P01', notes: null, baselines: [baseline], recordings: [], damaged: null },
    { person: 'P02', notes: null, baselines: [], recordings: [], damaged: null },
    { person: 'P03', notes: null, baselines: [], recordings: [], damaged: 'not JSON' },
  ];

  it.each([
    ['', 'Without a person, the baseline is not saved.'],
    ['P01', 'P01, saved baselines: 60 s (TP9, AF7, 2026-01-02).'],
    ['P02', 'P02, no saved baseline.'],
    ['P03', 'not JSON'],
    ['P04', 'P04 is new and will be added.'],
  ])('of %j', (name, hint) => expect(personHint(name, people)).toBe(hint));

  it.each(['../P01', 'P 01', 'P01.', '.P01', 'P'.repeat(82)])('rejects %s', (name) =>
    expect(personHint(name, people)).toContain('No real names'),
  );
});
