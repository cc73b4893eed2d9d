import { describe, expect, it } from 'vitest';
import { type Label, assignRows } from '../../src/plots/label_rows';

const ROWS = 4;

/** Labels of 10 units, one unit apart, the newest first. */
const labels = (rows: (number | null)[]): Label[] =>
  rows.map((row, i) => ({ from: -i, to: 10 - i, row }));

function assigned(before: readonly Label[]): (number | null)[] {
  assignRows(before, ROWS);
  return before.map(({ row }) => row);
}

describe('rows of labels', () => {
  it('are for the newest, and stay when another one comes or the oldest has gone', () => {
    const rows: (number | null)[] = [];
    const seen = Array.from({ length: 7 }, () => {
      rows.splice(0, rows.length, ...assigned(labels([null, ...rows])));
      return [...rows];
    });
    expect(seen[3]).toEqual([3, 2, 1, 0]);
    expect(seen[4]).toEqual([0, 3, 2, 1, null]); // the oldest gives its row away
    expect(seen[6]).toEqual([2, 1, 0, 3, null, null, null]);
    expect(assigned(labels([2, 1, 0]))).toEqual([2, 1, 0]);
  });

  it('is the first one for labels apart from each other', () => {
    const far = [50, 25, 0].map((from) => ({ from, to: from + 10, row: null }));
    expect(assigned(far)).toEqual([0, 0, 0]);
  });

  it('is another one where a newer label has come to cover it', () => {
    expect(assigned(labels([1, 1]))).toEqual([1, 0]);
  });
});
