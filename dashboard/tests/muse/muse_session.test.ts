import { describe, expect, it } from 'vitest';
import { Numbering } from '../../src/muse/muse_session';
import type { Chunk } from '../../src/muse/packet_clock';

const chunk = (first: number, time: number, count = 12): Chunk => ({
  data: new Float32Array(4 * count),
  timestamps: Float64Array.from({ length: count }, (_, k) => time + k / 256),
  first,
});

describe('Numbering', () => {
  it('goes on after a reconnection with the samples that were lost meanwhile', () => {
    const numbering = new Numbering();
    expect(numbering.number(chunk(0, 10), 1000).first).toBe(0);
    expect(numbering.number(chunk(24, 10 + 24 / 256), 1000.1).first).toBe(24);
    numbering.restart();
    // From the last sample, number 35, 2 s to the next.
    expect(numbering.number(chunk(0, 10 + 35 / 256 + 2), 1002.1).first).toBe(35 + 512);
    expect(numbering.number(chunk(12, 10 + 47 / 256 + 2), 1002.1).first).toBe(47 + 512);
  });

  it('counts a sleep in which the clock of the page stood still', () => {
    const numbering = new Numbering();
    numbering.number(chunk(0, 10), 1000);
    numbering.restart();
    const { first } = numbering.number(chunk(0, 11), 1061);
    expect(first / 256).toBeCloseTo(61, 1);
  });
});
