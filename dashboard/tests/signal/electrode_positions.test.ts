import { describe, expect, it } from 'vitest';
import { spot } from '../../src/signal/electrode_positions';

const rounded = (name: string): [number, number] | null => {
  const found = spot(name);
  return found && [Math.round(100 * found.x) / 100 || 0, Math.round(100 * found.y) / 100 || 0];
};

describe('spot', () => {
  it.each<[string, number, number]>([
    ['Cz', 0, 0],
    ['Fpz', 0, 0.8],
    ['Oz', 0, -0.8],
    ['T8', 0.8, 0],
    ['T7', -0.8, 0],
    ['Fz', 0, 0.4],
    ['C3', -0.4, 0],
    ['C4', 0.4, 0],
    ['Fp1', -0.25, 0.76],
    ['O2', 0.25, -0.76],
    ['AF7', -0.47, 0.65],
    ['TP9', -0.95, -0.31],
    ['TP10', 0.95, -0.31],
  ])('puts %s where its angles say', (name, x, y) => {
    expect(rounded(name)).toEqual([x, y]);
  });

  it('spaces a row evenly from the middle outwards, left as right', () => {
    for (const row of ['AF', 'F', 'FC', 'C', 'CP', 'P', 'PO']) {
      const [left, right] = [3, 4].map((n) => spot(`${row}${n}`)!);
      expect(left!.x).toBeCloseTo(-right!.x, 12);
      expect(left!.y).toBeCloseTo(right!.y, 12);
      expect(spot(`${row}z`)!.x).toBe(0);
      const xs = ['z', '2', '4', '6'].map((n) => spot(`${row}${n}`)!.x);
      expect(xs).toEqual([...xs].sort((a, b) => a - b));
    }
  });

  it('understands old names, any case, and what EDF files write around a name', () => {
    expect(spot('T5')).toEqual(spot('P7'));
    expect(spot('EEG FP1-Ref')).toEqual(spot('Fp1'));
  });

  it.each(['1', 'EEG', 'X3', 'FC7', 'Fp3', 'T1', 'C11', ''])('knows no place for %j', (name) => {
    expect(spot(name)).toBeNull();
  });
});
