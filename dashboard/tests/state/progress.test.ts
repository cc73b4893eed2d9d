import { describe, expect, it } from 'vitest';
import { warmUpProgress } from '../../src/state/progress';

describe('warmUpProgress', () => {
  it.each([
    ['warming up: 1.5 of 4.0 s', { kind: 'model', done: 1.5, of: 4 }],
    ['baseline 34 of 60 s', { kind: 'baseline', done: 34, of: 60 }],
  ])('reads %s', (reason, progress) =>
    expect(warmUpProgress({ status: 'warming_up', reason })).toEqual(progress),
  );

  it.each([
    ['warming_up', null],
    ['warming_up', 'it is early'],
    ['poor_signal', '12 of 64 samples lost'],
    ['ok', null],
  ] as const)('finds none in %s, %s', (status, reason) =>
    expect(warmUpProgress({ status, reason })).toBeNull(),
  );
});
