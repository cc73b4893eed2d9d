import { describe, expect, it } from 'vitest';
import { PredictionHistory } from '../../src/state/prediction_history';
import { hasValenceArousal, valenceArousal } from '../../src/state/valence_arousal';
import { prediction } from '../service';

/** History of points, one per second; null is an abstention. */
function historyOf(...points: ([number, number] | null)[]): PredictionHistory {
  const history = new PredictionHistory(3);
  points.forEach((point, i) => {
    const message = prediction('a', i, i, point?.[0] ?? null);
    const high = point?.[1] ?? 0;
    if (point) message.outputs!['arousal'] = { low: 1 - high, high };
    history.push(message);
  });
  return history;
}

describe('hasValenceArousal', () => {
  const two = ['low', 'high'];

  it.each([
    [{ valence: two, arousal: two }, true],
    [{ valence: two, arousal: [...two].reverse(), liking: two }, true],
    [{ valence: two }, false],
    [{ valence: two, arousal: ['low', 'mid', 'high'] }, false],
    [{ valence: ['sad', 'glad'], arousal: two }, false],
    [null, false],
  ])('%j: %s', (outputs, expected) => expect(hasValenceArousal(outputs)).toBe(expected));
});

describe('valenceArousal', () => {
  it('has a point, its trail, and its spread over the last 5 s', () => {
    const plane = valenceArousal(historyOf([0, 0.9], [0.4, 0.5], [0.6, 0.5]))!;
    expect(plane.point).toEqual({ valence: 0.6, arousal: 0.5 });
    expect(plane.trail.map(({ from, to, age }) => [from.valence, to.valence, age])).toEqual([
      [0, 0.4, 1],
      [0.4, 0.6, 0],
    ]);
    expect(plane.spread!.valence).toBeCloseTo(Math.sqrt((1 / 9 + 1 / 225 + 16 / 225) / 3));
    expect(plane.spread!.arousal).toBeCloseTo(Math.sqrt((2 * 0.0178 + 0.0711) / 3), 3);
  });

  it('limits the spread to 5 s and to the time since an abstention', () => {
    const old: [number, number][] = [
      [0, 0],
      [1, 1],
    ];
    const steady: [number, number][] = Array.from({ length: 6 }, () => [0.5, 0.5]);
    expect(valenceArousal(historyOf(...old, ...steady))!.spread).toEqual({
      valence: 0,
      arousal: 0,
    });
    const broken = valenceArousal(historyOf(...old, null, [0.5, 0.5]))!;
    expect(broken.spread).toBeNull();
    expect(broken.trail).toHaveLength(1);
  });

  it('has a trail of 20 s', () => {
    const points: [number, number][] = Array.from({ length: 40 }, () => [0.5, 0.5]);
    const { trail } = valenceArousal(historyOf(...points))!;
    expect(trail).toHaveLength(20);
    expect(Math.max(...trail.map(({ age }) => age))).toBe(19);
  });

  it('is null without a prediction', () => {
    expect(valenceArousal(historyOf())).toBeNull();
    expect(valenceArousal(historyOf([0.5, 0.5], null))).toBeNull();
  });
});
