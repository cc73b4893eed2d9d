import { describe, expect, it } from 'vitest';
import { Delays, Rate } from '../../src/signal/timing';

describe('Rate', () => {
  it('says nothing of the first seconds', () => {
    const rate = new Rate();
    expect(rate.hz).toBeNull();
    rate.push(10, 256);
    rate.push(11.9, 400);
    expect(rate.hz).toBeNull();
  });

  it('counts by stamps, over the last ten seconds', () => {
    const rate = new Rate();
    rate.push(0, 76_800); // five minutes that came in one message
    for (let second = 1; second <= 20; second++) rate.push(second, 256);
    expect(rate.hz).toBe(256);
    for (let second = 21; second <= 25; second++) rate.push(second, 128);
    expect(rate.hz).toBe(192);
  });

  it('falls by what a gap leaves out', () => {
    const rate = new Rate();
    for (let second = 0; second <= 10; second++) if (second !== 5) rate.push(second, 100);
    expect(rate.hz).toBe(90);
  });
});

describe('Delays', () => {
  it('tells the median of the last two seconds', () => {
    const delays = new Delays();
    expect(delays.median(0)).toBeNull();
    delays.push(1, 9);
    for (const [i, delay] of [0.05, 0.03, 5, 0.04, 0.02].entries()) delays.push(10 + i / 10, delay);
    expect(delays.median(10.5)).toBe(0.04);
    expect(delays.median(13)).toBeNull();
  });

  it('goes round', () => {
    const delays = new Delays();
    for (let i = 0; i < 1000; i++) delays.push(i / 1000, i);
    expect(delays.median(1)).toBe(872); // of the 256 newest
  });
});
