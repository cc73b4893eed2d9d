import { describe, expect, it } from 'vitest';
import { ServiceClock } from 'mimamba-client';

describe('ServiceClock', () => {
  it('is unknown at first, then taken from the first message', () => {
    const clock = new ServiceClock();
    expect(clock.at(5)).toBeNull();
    clock.addMessage({ lsl: 100, unix: 0 }, 10);
    expect(clock.at(12)).toBe(102);
  });

  it('uses the ping with the shortest round trip', () => {
    const clock = new ServiceClock();
    clock.addMessage({ lsl: 50, unix: 0 }, 10);
    clock.addPong(10, { lsl: 100, unix: 0 }, 10.5);
    clock.addPong(20, { lsl: 110.125, unix: 0 }, 20.25);
    clock.addPong(30, { lsl: 121, unix: 0 }, 31);
    expect(clock.at(40)).toBe(130);
    clock.reset();
    expect(clock.at(40)).toBeNull();
  });

  it('forgets an old ping, however short', () => {
    const clock = new ServiceClock();
    clock.addPong(0, { lsl: 7, unix: 0 }, 0);
    for (let i = 1; i <= 8; i++) clock.addPong(i, { lsl: i + 0.5, unix: 0 }, i + 1);
    expect(clock.at(10)).toBe(10);
  });
});
