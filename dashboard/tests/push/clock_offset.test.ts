import { describe, expect, it } from 'vitest';
import { ClockOffset } from '../../src/push/clock_offset';

describe('ClockOffset', () => {
  it('is that of the fastest answer', () => {
    const offset = new ClockOffset();
    offset.add(1, 1.5, 101.3);
    offset.add(2, 2.001, 102.0005);
    offset.add(3, 3.4, 103.1);
    expect(offset.offset).toBeCloseTo(100, 6);
    expect(offset.known).toBe(3);
  });

  it('forgets what was before a sleep, in which the page’s clock stood still', () => {
    const offset = new ClockOffset();
    offset.add(1, 1.002, 101.001);
    offset.add(2, 2.1, 162.05);
    expect(offset.offset).toBeCloseTo(160, 6);
    expect(offset.known).toBe(1);
  });
});
