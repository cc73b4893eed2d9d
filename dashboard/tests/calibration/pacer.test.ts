import { describe, expect, it } from 'vitest';
import { BREATH, breathAt } from '../../src/calibration/pacer';

describe('breathAt', () => {
  it('goes in for 4 s and out for 6 s, again and again', () => {
    for (const start of [0, BREATH, 7 * BREATH]) {
      expect(breathAt(start)).toEqual({ phase: 'in', fullness: 0 });
      expect(breathAt(start + 2).fullness).toBeCloseTo(0.5);
      expect(breathAt(start + 4)).toEqual({ phase: 'out', fullness: 1 });
      expect(breathAt(start + 7).fullness).toBeCloseTo(0.5);
    }
  });

  it('never jumps', () => {
    for (let at = -BREATH; at < 2 * BREATH; at += 0.05)
      expect(Math.abs(breathAt(at + 0.05).fullness - breathAt(at).fullness)).toBeLessThan(0.03);
  });
});
