import { expect, it } from 'vitest';
import { describeSet } from '../../src/text/label_set';

const all = ['glum', 'calm', 'glad'];

it.each([
  [['calm'], null, 0, 'In nine of ten cases it is calm.'],
  [
    ['calm', 'glad'],
    0.9,
    120,
    'In nine of ten cases it is calm or glad. Right in 90 % of the last 120 known.',
  ],
  [all, 1, 3, 'Too uncertain to tell. Right in 100 % of the last 3 known.'],
  [[], null, 0, 'Too uncertain to tell.'],
])('says what the set %j tells', (labels, coverage, labelled, text) => {
  expect(describeSet({ labels, coverage, labelled }, all)).toBe(text);
});
