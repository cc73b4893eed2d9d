import { describe, expect, it } from 'vitest';
import { ReplayedPredictions, recordedLines } from '../../src/state/timeline';
import { prediction } from '../service';

const OUTPUTS = { valence: ['low', 'high'], mood: ['sad', 'calm', 'glad'] };

describe('recordedLines', () => {
  it('are one for two labels, one each for more, with breaks at abstentions', () => {
    const { names, seconds, values } = recordedLines({
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
    const { seconds, values } = recordedLines({
      model: 'demo',
      position: [1, 2, 3, 30, 31],
      outputs: { valence: { low: [0.5, 0.5, 0.5, 0.5, 0.5], high: [0.1, 0.2, 0.3, 0.4, 0.5] } },
    });
    expect([...seconds]).toEqual([1, 2, 3, 30, 30, 31]);
    expect([...values[0]!]).toEqual([0.1, 0.2, 0.3, NaN, 0.4, 0.5]);
  });

  it('are none if the recording has no predictions', () => {
    const { names, seconds } = recordedLines({ model: null, position: [], outputs: {} });
    expect(names).toEqual([]);
    expect(seconds).toHaveLength(0);
  });
});

describe('ReplayedPredictions', () => {
  const at = (second: number, high: number | null) => prediction('a', 0, second, high);

  it('are drawn at their position, and replaced by a later pass', () => {
    const replayed = new ReplayedPredictions(10, OUTPUTS, 1);
    expect(replayed.lines.seconds).toHaveLength(10);
    replayed.push(at(2.5, 0.7), 256);
    expect([...replayed.lines.values[0]!]).toEqual([NaN, NaN, 0.7, ...Array(7).fill(NaN)]);
    expect(replayed.lines.values[1]!.every(Number.isNaN)).toBe(true); // no output for mood
    replayed.push(at(2.5, null), 256);
    expect(replayed.lines.values[0]!.every(Number.isNaN)).toBe(true);
  });

  it('fill small steps, but not a jump', () => {
    const replayed = new ReplayedPredictions(100, OUTPUTS, 1);
    for (const second of [10, 13, 60, 5]) replayed.push(at(second + 0.5, 0.7), 256);
    const filled = [...replayed.lines.values[0]!.keys()].filter(
      (n) => !Number.isNaN(replayed.lines.values[0]![n]!),
    );
    expect(filled).toEqual([5, 10, 11, 12, 13, 60]);
  });

  it('have at most 1000 points, none beyond the end', () => {
    const replayed = new ReplayedPredictions(36_000, OUTPUTS, 0.25);
    expect(replayed.lines.seconds).toHaveLength(1000);
    replayed.push(at(36_000, 0.7), 256);
    expect(replayed.lines.values[0]![999]).toBe(0.7);
  });
});
