import { describe, expect, it } from 'vitest';
import { HISTORY_SECONDS, PredictionHistory } from '../../src/state/prediction_history';
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

  it('has no values for an unknown output', () => {
    const history = new PredictionHistory(1);
    history.push(prediction('a', 0, 10, 0.5));
    expect(gaps(history.output('arousal', ['high']).probabilities[0])).toEqual([null]);
  });
});
