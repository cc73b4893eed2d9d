import { describe, expect, it } from 'vitest';
import { HISTORY_SECONDS, History } from '../../src/state/prediction_history';
import { prediction } from '../service';

const gaps = (values: Float64Array | undefined): (number | null)[] =>
  Array.from(values ?? [], (value) => (Number.isNaN(value) ? null : value));

describe('History', () => {
  it('counts back from the newest, and is broken where the model abstained', () => {
    const history = new History(1);
    history.push(prediction('a', 0, 10, 0.25));
    history.push(prediction('a', 1, 10.5, null));
    history.push(prediction('a', 2, 11, 0.75));
    const past = history.past('valence', ['low', 'high']);
    expect([...past.seconds]).toEqual([-1, -0.5, 0]);
    expect(past.probabilities.map(gaps)).toEqual([
      [0.75, null, 0.25],
      [0.25, null, 0.75],
    ]);
  });

  it('is broken where no prediction came', () => {
    const history = new History(1);
    history.push(prediction('a', 0, 10, 0.5));
    history.push(prediction('a', 1, 11, 0.5));
    history.push(prediction('a', 2, 13, 0.5));
    expect(gaps(history.past('valence', ['high']).probabilities[0])).toEqual([0.5, 0.5, null, 0.5]);
  });

  it('keeps two minutes', () => {
    const history = new History(1);
    for (let i = 0; i < 1000; i++) history.push(prediction('a', i, i / 4, 0.5));
    const { seconds } = history.past('valence', ['high']);
    expect(seconds[0]).toBe(-HISTORY_SECONDS);
    expect(seconds).toHaveLength(4 * HISTORY_SECONDS + 1);
  });

  it('knows nothing of an output that is not there', () => {
    const history = new History(1);
    history.push(prediction('a', 0, 10, 0.5));
    expect(gaps(history.past('arousal', ['high']).probabilities[0])).toEqual([null]);
  });
});
