import { describe, expect, it } from 'vitest';
import { STEPS, chooseStep, spread } from '../src/plots/scale';

describe('spread', () => {
  it('leaves lost samples out, and offsets do not blur it', () => {
    expect(spread(Float32Array.of(1, Number.NaN, 3))).toEqual({ mean: 2, rms: 1 });
    expect(spread(Float32Array.of(400_001, 400_003)).rms).toBe(1);
    expect(spread(Float32Array.of(Number.NaN))).toEqual({ mean: 0, rms: 0 });
  });
});

describe('chooseStep', () => {
  it('fits the channel in the middle, not a loose one', () => {
    expect(chooseStep([10, 11, 12, 4000], 100)).toBe(100);
    expect(chooseStep([10, 40, 45, 4000], 100)).toBe(200);
    expect(chooseStep([1e9, 1e9], 100)).toBe(STEPS.at(-1));
  });

  it('does not flicker between two steps', () => {
    expect(chooseStep([12], 100)).toBe(100);
    expect(chooseStep([9], 100)).toBe(50);
    expect(chooseStep([12], 50)).toBe(50);
    expect(chooseStep([0, 0], 100)).toBe(10);
  });
});
