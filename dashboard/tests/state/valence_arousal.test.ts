import { describe, expect, it } from 'vitest';
import { History } from '../../src/state/prediction_history';
import { planeOf, spansPlane } from '../../src/state/valence_arousal';
import { prediction } from '../service';

/** A history of points, one a second; null is an abstention. */
function past(...points: ([number, number] | null)[]): History {
  const history = new History(3);
  points.forEach((point, i) => {
    const said = prediction('a', i, i, point?.[0] ?? null);
    const high = point?.[1] ?? 0;
    if (point) said.outputs!['arousal'] = { low: 1 - high, high };
    history.push(said);
  });
  return history;
}

describe('spansPlane', () => {
  const two = ['low', 'high'];

  it.each([
    [{ valence: two, arousal: two }, true],
    [{ valence: two, arousal: [...two].reverse(), liking: two }, true],
    [{ valence: two }, false],
    [{ valence: two, arousal: ['low', 'mid', 'high'] }, false],
    [{ valence: ['sad', 'glad'], arousal: two }, false],
    [null, false],
  ])('%j: %s', (outputs, spans) => expect(spansPlane(outputs)).toBe(spans));
});

describe('planeOf', () => {
  it('has a point, its trail, and its spread over the last 5 s', () => {
    const plane = planeOf(past([0, 0.9], [0.4, 0.5], [0.6, 0.5]))!;
    expect(plane.point).toEqual({ valence: 0.6, arousal: 0.5 });
    expect(plane.trail.map(({ from, to, age }) => [from.valence, to.valence, age])).toEqual([
      [0, 0.4, 1],
      [0.4, 0.6, 0],
    ]);
    expect(plane.spread!.valence).toBeCloseTo(Math.sqrt((1 / 9 + 1 / 225 + 16 / 225) / 3));
    expect(plane.spread!.arousal).toBeCloseTo(Math.sqrt((2 * 0.0178 + 0.0711) / 3), 3);
  });

  it('measures no spread over more than 5 s, nor across an abstention', () => {
    const old: [number, number][] = [
      [0, 0],
      [1, 1],
    ];
    const still: [number, number][] = Array.from({ length: 6 }, () => [0.5, 0.5]);
    expect(planeOf(past(...old, ...still))!.spread).toEqual({ valence: 0, arousal: 0 });
    const broken = planeOf(past(...old, null, [0.5, 0.5]))!;
    expect(broken.spread).toBeNull();
    expect(broken.trail).toHaveLength(1);
  });

  it('draws the last 20 s only', () => {
    const points: [number, number][] = Array.from({ length: 40 }, () => [0.5, 0.5]);
    const { trail } = planeOf(past(...points))!;
    expect(trail).toHaveLength(20);
    expect(Math.max(...trail.map(({ age }) => age))).toBe(19);
  });

  it('has nothing where the model abstains or has said nothing', () => {
    expect(planeOf(past())).toBeNull();
    expect(planeOf(past([0.5, 0.5], null))).toBeNull();
  });
});
