import { describe, expect, it } from 'vitest';
import { electrodePosition } from '../../src/signal/electrode_positions';

const rounded = (name: string): [number, number] | null => {
  const found = electrodePosition(name);
  return found && [Math.round(100 * found.x) / 100 || 0, Math.round(100 * found.y) / 100 || 0];
};

describe('electrodePosition', () => {
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
  ])('of %s follows from its angles', (name, x, y) => {
    expect(rounded(name)).toEqual([x, y]);
  });

  it('is evenly spaced in a row, symmetric left and right', () => {
    for (const row of ['AF', 'F', 'FC', 'C', 'CP', 'P', 'PO']) {
      const [left, right] = [3, 4].map((n) => electrodePosition(`${row}${n}`)!);
      expect(left!.x).toBeCloseTo(-right!.x, 12);
      expect(left!.y).toBeCloseTo(right!.y, 12);
      expect(electrodePosition(`${row}z`)!.x).toBe(0);
      const xs = ['z', '2', '4', '6'].map((n) => electrodePosition(`${row}${n}`)!.x);
      expect(xs).toEqual([...xs].sort((a, b) => a - b));
    }
  });

  it('takes old names, any case, and the decorations of EDF files', () => {
    expect(electrodePosition('T5')).toEqual(electrodePosition('P7'));
    expect(electrodePosition('EEG FP1-Ref')).toEqual(electrodePosition('Fp1'));
  });

  it.each(['1', 'EEG', 'X3', 'FC7', 'Fp3', 'T1', 'C11', ''])('is null for %j', (name) => {
    expect(electrodePosition(name)).toBeNull();
  });
});
