import { describe, expect, it } from 'vitest';
import { ServiceClock } from '../../src/connection/clock';

describe('ServiceClock', () => {
  it('knows nothing at first, and takes an arrival for want of better', () => {
    const clock = new ServiceClock();
    expect(clock.at(5)).toBeNull();
    clock.hear({ lsl: 100, unix: 0 }, 10);
    expect(clock.at(12)).toBe(102);
  });

  it('trusts the ping with the shortest way', () => {
    const clock = new ServiceClock();
    clock.hear({ lsl: 50, unix: 0 }, 10);
    clock.answer(10, { lsl: 100, unix: 0 }, 10.5);
    clock.answer(20, { lsl: 110.125, unix: 0 }, 20.25);
    clock.answer(30, { lsl: 121, unix: 0 }, 31);
    expect(clock.at(40)).toBe(130);
    clock.reset();
    expect(clock.at(40)).toBeNull();
  });

  it('forgets a way that was short long ago', () => {
    const clock = new ServiceClock();
    clock.answer(0, { lsl: 7, unix: 0 }, 0);
    for (let i = 1; i <= 8; i++) clock.answer(i, { lsl: i + 0.5, unix: 0 }, i + 1);
    expect(clock.at(10)).toBe(10);
  });
});
