import { describe, expect, it } from 'vitest';
import { agreementText } from '../../src/calibration/agreement';
import { ratingWords } from '../../src/calibration/rating';
import {
  headText,
  helpFor,
  pText,
  sentenceOf,
  servedText,
  titleOf,
  verdictRows,
} from '../../src/calibration/verdicts';
import { head, verdict } from './examples';

const NAMES = ['reliable', 'no difference', 'muscle', 'drift', 'too few', 'model fits'];

describe('verdicts', () => {
  it('say what may help unless the output is used', () => {
    const helped = NAMES.filter((name) => helpFor({ name }).length > 0);
    expect(helped).toEqual(['no difference', 'muscle', 'drift', 'too few']);
  });

  it('have headings of their own', () => {
    expect(new Set(NAMES.map(titleOf)).size).toBe(NAMES.length);
    expect(titleOf('of tomorrow')).toBe('of tomorrow');
  });

  it('say whether the output is used', () => {
    expect(servedText(verdict())).toContain('from now on');
    expect(servedText(verdict({ name: 'drift', served: 'this session' }))).toContain('ends');
    expect(servedText(verdict({ name: 'muscle', served: 'no' }))).toContain('Nothing');
    expect(servedText(verdict({ name: 'model fits', served: 'no' }))).toContain('shipped model');
  });

  it('show the sentence without its heading', () => {
    expect(sentenceOf(verdict())).toBe('your own output told them.');
    expect(sentenceOf(verdict({ sentence: 'No word.' }))).toBe('No word.');
  });

  it('have their numbers, and leave out those that were not taken', () => {
    const rows = Object.fromEntries(verdictRows(verdict(), ['calm', 'strained']));
    expect(rows).toMatchObject({
      'Right in blocks not seen (guessing: 50 %)': '76 % (62 to 88)',
      'Chance of such a result by guessing': 'p .004',
      'The shipped model, unchanged': '58 % (40 to 70), p .300',
      'Usable blocks': '6 calm, 6 strained',
    });
    const few = verdict({ name: 'too few', accuracy: null, interval: null, p: null, tests: 1 });
    expect(verdictRows({ ...few, model: null }, ['a', 'b']).map(([, value]) => value)).toEqual([
      '6 a, 6 b',
      '1',
      '2 %',
      '1',
    ]);
    expect(pText(0.0004)).toBe('p below .001');
    expect(pText(1)).toBe('p 1.000');
  });
});

it('says whether a head holds today', () => {
  expect(headText(head())).toBe('holds today');
  expect(headText(head({ confirmed: false, right: 5, checked: 6 }))).toBe(
    'not confirmed today (5 of 6 right today)',
  );
  expect(headText(head({ served: 'no' }))).toBe('not used');
});

it('says how well ratings and output agree', () => {
  expect(
    agreementText({
      ...{ n: 8, spearman: 0.4, spearman_interval: [-0.1, 0.7], ccc: null, ccc_interval: null },
      source: 'personal',
    }),
  ).toBe(
    '8 ratings: rank correlation 0.40 (−0.10 to 0.70), concordance unknown, with your own output',
  );
});

it.each([
  ['valence', 50, '50 of 100, in the middle'],
  ['valence', 60, '60 of 100, a little pleasant'],
  ['valence', 20, '20 of 100, rather unpleasant'],
  ['arousal', 0, '0 of 100, very calm'],
] as const)('says %s %i in words', (scale, value, words) => {
  expect(ratingWords(scale, value)).toBe(words);
});
