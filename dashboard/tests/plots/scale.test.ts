import { describe, expect, it } from 'vitest';
import { STEPS, chooseStep, spread } from '../../src/plots/scale';

const of = (...values: number[]) => spread(Float32Array.from(values), { mean: 9, rms: 9 });
const choose = (rms: number[], present: number): number =>
  chooseStep(
    rms.map((each) => ({ mean: 0, rms: each })),
    present,
  );

describe('spread', () => {
  it('ignores lost samples and offsets', () => {
    expect(of(1, Number.NaN, 3)).toEqual({ mean: 2, rms: 1 });
    expect(of(400_001, 400_003).rms).toBe(1);
    expect(of(Number.NaN)).toEqual({ mean: 0, rms: 0 });
  });
});

describe('chooseStep', () => {
  it('fits the median channel, not a loose one', () => {
    expect(choose([10, 11, 12, 4000], 100)).toBe(100);
    expect(choose([10, 40, 45, 4000], 100)).toBe(200);
    expect(choose([1e9, 1e9], 100)).toBe(STEPS.at(-1));
  });

  it('does not flicker between two scales', () => {
    expect(choose([12], 100)).toBe(100);
    expect(choose([9], 100)).toBe(50);
    expect(choose([12], 50)).toBe(50);
    expect(choose([0, 0], 100)).toBe(10);
  });
});
