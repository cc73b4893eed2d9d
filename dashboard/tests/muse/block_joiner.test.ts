import { describe, expect, it } from 'vitest';
import { BlockJoiner, type JoinedBlock, REORDER_SECONDS } from '../../src/muse/block_joiner';
import { type Block, CLASSIC, SFREQ } from '../../src/muse/packets';
import { random } from '../random';

const SECONDS = CLASSIC.nTimes / SFREQ;

/** A part of the block `count`, counted without end; its values are the count. */
const block = (count: number, part: number): Block => ({
  kind: 'samples',
  sensor: CLASSIC,
  part,
  number: count % CLASSIC.nNumbers,
  values: new Float32Array(CLASSIC.nTimes).fill(count),
});

interface Sent {
  count: number;
  part: number;
  at: number;
}

function join(sent: Sent[]): JoinedBlock[] {
  const joiner = new BlockJoiner(CLASSIC);
  const inOrder = [...sent].sort((a, b) => a.at - b.at);
  const joined = inOrder.flatMap(({ count, part, at }) => joiner.push(block(count, part), at, 0));
  return [...joined, ...joiner.flush()];
}

const sending = (first: number, count: number): Sent[] =>
  Array.from({ length: count * CLASSIC.nParts }, (_, k) => ({
    count: first + Math.floor(k / CLASSIC.nParts),
    part: k % CLASSIC.nParts,
    at: Math.floor(k / CLASSIC.nParts) * SECONDS,
  }));

describe('BlockJoiner', () => {
  it.each(Array.from({ length: 60 }, (_, seed) => seed))(
    'never mixes, repeats or loses blocks without need (seed %i)',
    (seed) => {
      const next = random(seed);
      const first = seed % 3 ? Math.floor(next() * 200_000) : 65_536 - Math.floor(next() * 40);
      const loss = next() * 0.5;
      const all = sending(first, 1 + Math.floor(next() * 60));
      // The first arrives: what is sent before the first that is heard is before the beginning.
      const kept = all.filter((_, k) => k === 0 || next() >= loss);
      const arrived = kept.flatMap((each, k) => {
        const late = { ...each, at: each.at + (k ? next() * 0.999 * REORDER_SECONDS : 0) };
        return next() < 0.3 ? [late, { ...late, at: late.at + next() * 0.3 }] : [late];
      });
      const joined = join(arrived);
      for (const { values } of joined) expect(new Set(values).size).toBe(1);
      const parts = new Map<number, number>();
      for (const { count } of kept) parts.set(count, (parts.get(count) ?? 0) + 1);
      const whole = [...parts].filter(([, n]) => n === CLASSIC.nParts).map(([count]) => count);
      expect(joined.map(({ values }) => values[0])).toEqual(whole.map(Math.fround));
    },
  );

  it('loses a whole block with one of its parts, and no more', () => {
    const lost = sending(0, 20).filter(({ count, part }) => count !== 7 || part !== 2);
    expect(join(lost).map(({ number }) => number)).toEqual(
      Array.from({ length: 20 }, (_, k) => k).filter((k) => k !== 7),
    );
  });

  it('goes on with a headset that counts anew', () => {
    const anew = sending(0, 5).map((each) => ({ ...each, at: each.at + 1 }));
    const numbers = join([...sending(40_000, 5), ...anew]).map(({ number }) => number);
    expect(numbers).toEqual([40_000, 40_001, 40_002, 40_003, 40_004, 0, 1, 2, 3, 4]);
  });
});
