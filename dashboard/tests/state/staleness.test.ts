import { beforeEach, describe, expect, it } from 'vitest';
import { Session, type View } from '../../src/state/session.svelte';
import type { Subscribed } from '../../src/connection/protocol';
import { current, stale, verdict } from '../../src/state/staleness';
import { prediction, subscribed } from '../service';

const connected = { phase: 'connected' } as const;
let view: View;

beforeEach(() => {
  const session = new Session('a', '');
  session.subscribed(subscribed('a', 'e1') as Subscribed);
  session.predict(prediction('a', 0, 1, 0.7));
  session.publish();
  view = { ...session.view, latestIndex: 260, link: { state: 'connected', detail: '', since: 0 } };
});

describe('verdict', () => {
  it('shows a prediction that is current', () => {
    expect(verdict(view, connected, 0.2)).toMatchObject({
      shown: true,
      outputs: { valence: { high: 0.7 } },
    });
  });

  it.each<[string, Partial<View>, number]>([
    ['Session ended', { ended: true }, 0],
    ['Opening', { opening: true }, 0],
    ['Link lost', { link: { state: 'lost', detail: 'gone', since: 0 } }, 0],
    ['Link lost', { link: { state: 'retrying', detail: 'gone', since: 0 } }, 0],
    ['No new samples', {}, 2.5],
    ['No model', { model: null }, 0],
    ['No prediction yet', { prediction: null }, 0],
    ['Poor signal', { prediction: prediction('a', 1, 1, null) }, 0],
    ['Warming up', { prediction: { ...prediction('a', 1, 1, null), status: 'warming_up' } }, 0],
    ['Waiting for a prediction', { latestIndex: 256 * 5 }, 0],
  ])('says %s instead of a number', (title, change, age) => {
    expect(verdict({ ...view, ...change }, connected, age)).toMatchObject({ shown: false, title });
  });

  it('says for how long a link is lost', () => {
    const link = { state: 'lost', detail: 'Is the headset on?', since: 100 } as const;
    expect(verdict({ ...view, link }, connected, 0, 112)).toMatchObject({
      reason: 'For 12 s: Is the headset on?',
    });
  });

  it.each([
    ['warming up: 1.5 of 4.0 s', 'Warming up', 'The model has heard 1.5 of 4 s.', 1.5],
    [
      'baseline 34 of 60 s',
      'Taking the baseline',
      '34 of 60 s of rest. Sit still, look at one point.',
      34,
    ],
  ])('tells how far it has come: %s', (reason, title, words, done) => {
    const early = { ...prediction('a', 1, 1, null), status: 'warming_up', reason } as const;
    expect(verdict({ ...view, prediction: early }, connected, 0)).toMatchObject({
      ...{ shown: false, title, reason: words },
      progress: { done },
    });
  });

  it('shows nothing without a connection', () => {
    const waiting = { phase: 'waiting', until: 0, why: '' } as const;
    expect(verdict(view, waiting, 0)).toMatchObject({ shown: false, title: 'Not connected' });
  });
});

describe('stale', () => {
  it.each<[boolean, Partial<View>, number | null]>([
    [true, {}, 2.1],
    [true, { link: { state: 'lost', detail: '', since: 0 } }, 5],
    [false, {}, 1.9],
    [false, {}, null],
    [false, { ended: true }, 9],
    [false, { link: { state: 'paused', detail: '', since: 0 } }, 9],
  ])('is %s of %j at %s s', (old, change, age) => {
    expect(stale({ ...view, ...change }, age)).toBe(old);
  });
});

describe('current', () => {
  it('is a measurement of the newest second, of a signal that comes', () => {
    const measured = { index: 256 };
    expect(current({ ...view, latestIndex: 512 }, measured, 0.1)).toBe(measured);
    expect(current({ ...view, latestIndex: 513 }, measured, 0.1)).toBeNull();
    expect(current({ ...view, latestIndex: 512 }, measured, 2.1)).toBeNull();
    expect(current({ ...view, latestIndex: 512 }, null, 0.1)).toBeNull();
  });
});
