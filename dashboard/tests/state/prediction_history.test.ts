import { describe, expect, it } from 'vitest';
import {
  HISTORY_SECONDS,
  LONGEST_SECONDS,
  PredictionHistory,
} from '../../src/state/prediction_history';
import { prediction } from '../service';

const gaps = (values: Float64Array | undefined): (number | null)[] =>
  Array.from(values ?? [], (value) => (Number.isNaN(value) ? null : value));

describe('PredictionHistory', () => {
  it('counts back from the newest prediction, with breaks at abstentions', () => {
    const history = new PredictionHistory(1);
    history.push(prediction('a', 0, 10, 0.25));
    history.push(prediction('a', 1, 10.5, null));
    history.push(prediction('a', 2, 11, 0.75));
    const past = history.output('valence', ['low', 'high']);
    expect([...past.seconds]).toEqual([-1, -0.5, 0]);
    expect(past.probabilities.map(gaps)).toEqual([
      [0.75, null, 0.25],
      [0.25, null, 0.75],
    ]);
  });

  it('has a break where predictions are missing', () => {
    const history = new PredictionHistory(1);
    history.push(prediction('a', 0, 10, 0.5));
    history.push(prediction('a', 1, 11, 0.5));
    history.push(prediction('a', 2, 13, 0.5));
    expect(gaps(history.output('valence', ['high']).probabilities[0])).toEqual([
      0.5,
      0.5,
      null,
      0.5,
    ]);
  });

  it('keeps two minutes', () => {
    const history = new PredictionHistory(1);
    for (let i = 0; i < 1000; i++) history.push(prediction('a', i, i / 4, 0.5));
    const { seconds } = history.output('valence', ['high']);
    expect(seconds[0]).toBe(-HISTORY_SECONDS);
    expect(seconds).toHaveLength(4 * HISTORY_SECONDS + 1);
  });

  it('has means over hours, with breaks where there was no prediction', () => {
    const history = new PredictionHistory(1);
    for (let i = 0; i < 40; i++) history.push(prediction('a', i, i, i < 20 ? 0.2 : 0.6));
    history.push(prediction('a', 40, 45, null));
    for (let i = 0; i < 10; i++) history.push(prediction('a', 41 + i, 100 + i, 0.4));
    const past = history.output('valence', ['high'], 3600);
    expect([...past.seconds]).toEqual([-104, -94, -84, -74, -64, -54, -4]);
    const means = gaps(past.probabilities[0]).map((each) => each && Number(each.toFixed(6)));
    expect(means).toEqual([0.2, 0.2, 0.6, 0.6, null, null, 0.4]);
    for (let i = 0; i < 10; i++) history.push(prediction('a', 60 + i, 40_000 + i, 0.5));
    // All that is kept, as no longer span is shown: what is older than the longest one is gone.
    const kept = history.output('valence', ['high'], 2 * LONGEST_SECONDS);
    expect([...kept.seconds]).toEqual([-4]);
  });

  it('has no values for an unknown output', () => {
    const history = new PredictionHistory(1);
    history.push(prediction('a', 0, 10, 0.5));
    expect(gaps(history.output('arousal', ['high']).probabilities[0])).toEqual([null]);
  });
});
