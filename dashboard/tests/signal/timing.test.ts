import { describe, expect, it } from 'vitest';
import { DisplayLatency, RateMeter } from '../../src/signal/timing';

describe('RateMeter', () => {
  it('is null in the first seconds', () => {
    const rate = new RateMeter();
    expect(rate.hz).toBeNull();
    rate.push(10, 256);
    rate.push(11.9, 400);
    expect(rate.hz).toBeNull();
  });

  it('counts samples by timestamp over ten seconds', () => {
    const rate = new RateMeter();
    rate.push(0, 76_800); // five minutes in one message
    for (let second = 1; second <= 20; second++) rate.push(second, 256);
    expect(rate.hz).toBe(256);
    for (let second = 21; second <= 25; second++) rate.push(second, 128);
    expect(rate.hz).toBe(192);
  });

  it('is lower after a gap', () => {
    const rate = new RateMeter();
    for (let second = 0; second <= 10; second++) if (second !== 5) rate.push(second, 100);
    expect(rate.hz).toBe(90);
  });
});

describe('DisplayLatency', () => {
  it('is the median of the last two seconds', () => {
    const delays = new DisplayLatency();
    expect(delays.median(0)).toBeNull();
    delays.push(1, 9);
    for (const [i, delay] of [0.05, 0.03, 5, 0.04, 0.02].entries()) delays.push(10 + i / 10, delay);
    expect(delays.median(10.5)).toBe(0.04);
    expect(delays.median(13)).toBeNull();
  });

  it('wraps around', () => {
    const delays = new DisplayLatency();
    for (let i = 0; i < 1000; i++) delays.push(i / 1000, i);
    expect(delays.median(1)).toBe(872); // of the 256 newest
  });
});
