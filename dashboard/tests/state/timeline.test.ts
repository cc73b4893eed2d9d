import { describe, expect, it } from 'vitest';
import { Played, linesOf } from '../../src/state/timeline';
import { prediction } from '../service';

const OUTPUTS = { valence: ['low', 'high'], mood: ['sad', 'calm', 'glad'] };

describe('the lines of a recording', () => {
  it('are one for two labels, each for more, and break where nothing was said', () => {
    const { names, seconds, values } = linesOf({
      model: 'demo',
      position: [1, 2, 3],
      outputs: {
        valence: { low: [0.2, null, 0.4], high: [0.8, null, 0.6] },
        mood: { sad: [0.1, null, 0.1], calm: [0.2, null, 0.2], glad: [0.7, null, 0.7] },
      },
    });
    expect(names).toEqual(['valence: high', 'mood: sad', 'mood: calm', 'mood: glad']);
    expect([...seconds]).toEqual([1, 2, 3]);
    expect([...values[0]!]).toEqual([0.8, NaN, 0.6]);
  });

  it('break over a gap', () => {
    const { seconds, values } = linesOf({
      model: 'demo',
      position: [1, 2, 3, 30, 31],
      outputs: { valence: { low: [0.5, 0.5, 0.5, 0.5, 0.5], high: [0.1, 0.2, 0.3, 0.4, 0.5] } },
    });
    expect([...seconds]).toEqual([1, 2, 3, 30, 30, 31]);
    expect([...values[0]!]).toEqual([0.1, 0.2, 0.3, NaN, 0.4, 0.5]);
  });

  it('are none where the recording holds none', () => {
    const { names, seconds } = linesOf({ model: null, position: [], outputs: {} });
    expect(names).toEqual([]);
    expect(seconds).toHaveLength(0);
  });
});

describe('what was predicted so far', () => {
  const at = (second: number, high: number | null) => prediction('a', 0, second, high);

  it('stands where it was predicted, and a later pass replaces it', () => {
    const played = new Played(10, OUTPUTS, 1);
    expect(played.lines.seconds).toHaveLength(10);
    played.push(at(2.5, 0.7), 256);
    expect([...played.lines.values[0]!]).toEqual([NaN, NaN, 0.7, ...Array(7).fill(NaN)]);
    expect(played.lines.values[1]!.every(Number.isNaN)).toBe(true); // it said nothing of mood
    played.push(at(2.5, null), 256);
    expect(played.lines.values[0]!.every(Number.isNaN)).toBe(true);
  });

  it('is filled where predictions were passed over, not over a jump', () => {
    const played = new Played(100, OUTPUTS, 1);
    for (const second of [10, 13, 60, 5]) played.push(at(second + 0.5, 0.7), 256);
    const said = [...played.lines.values[0]!.keys()].filter(
      (n) => !Number.isNaN(played.lines.values[0]![n]!),
    );
    expect(said).toEqual([5, 10, 11, 12, 13, 60]);
  });

  it('has no more places than a screen, and none beyond the end', () => {
    const played = new Played(36_000, OUTPUTS, 0.25);
    expect(played.lines.seconds).toHaveLength(1000);
    played.push(at(36_000, 0.7), 256);
    expect(played.lines.values[0]![999]).toBe(0.7);
  });
});
