import { beforeEach, describe, expect, it } from 'vitest';
import type { PredictionMessage, Subscribed } from 'mimamba-client';
import { Session, type SessionSnapshot } from '../../src/state/session.svelte';
import { availability } from '../../src/text/availability';
import { prediction, subscribed } from '../service';

const connected = { phase: 'connected' } as const;
let snapshot: SessionSnapshot;

beforeEach(() => {
  const session = new Session('a', '');
  session.setSubscribed(subscribed('a', 'e1') as Subscribed);
  session.addPrediction(prediction('a', 0, 1, 0.7));
  session.publish();
  const link = { state: 'connected', detail: '', since: 0 } as const;
  snapshot = { ...session.snapshot, latestIndex: 260, link };
});

describe('availability', () => {
  it('has the outputs of a current prediction', () => {
    expect(availability(snapshot, connected, 0.2)).toMatchObject({
      available: true,
      outputs: { valence: { high: 0.7 } },
    });
  });

  it.each<[string, Partial<SessionSnapshot>, number]>([
    ['Session ended', { ended: true }, 0],
    ['Opening', { opening: true }, 0],
    ['Connection lost', { link: { state: 'lost', detail: 'gone', since: 0 } }, 0],
    ['Connection lost', { link: { state: 'retrying', detail: 'gone', since: 0 } }, 0],
    ['Paused', { link: { state: 'paused', detail: 'at 1 of 9 s', since: 0 } }, 0],
    ['No new samples', {}, 2.5],
    ['No model', { model: null }, 0],
    ['No prediction yet', { prediction: null }, 0],
    ['Poor signal', { prediction: prediction('a', 1, 1, null) }, 0],
    ['Warming up', { prediction: { ...prediction('a', 1, 1, null), status: 'warming_up' } }, 0],
    ['Waiting for a prediction', { latestIndex: 256 * 5 }, 0],
  ])('is "%s" instead of a number', (title, change, age) => {
    const changed = { ...snapshot, ...change };
    expect(availability(changed, connected, age)).toMatchObject({ available: false, title });
  });

  it.each<[PredictionMessage['status'], number, true | undefined]>([
    ['warming_up', 0, true],
    ['poor_signal', 0, true],
    ['poor_signal', 2.5, undefined],
  ])('says whether a prediction without outputs is current: %s, %f s', (status, age, current) => {
    const changed = { ...snapshot, prediction: { ...prediction('a', 1, 1, null), status } };
    const found = availability(changed, connected, age);
    expect(found.available ? null : found.current).toBe(current);
  });

  it('has the duration of a loss', () => {
    const link = { state: 'lost', detail: 'Is the headset on?', since: 100 } as const;
    expect(availability({ ...snapshot, link }, connected, 0, 112)).toMatchObject({
      reason: 'For 12 s. Is the headset on?',
    });
  });

  it.each([
    ['warming up: 1.5 of 4.0 s', 'Warming up', '1.5 of 4 s of signal.', 1.5],
    [
      'warming up: 0.5 of 4.0 s; started again 0.5 s ago: 0.3 s lost, 19 times in the last minute',
      'Warming up after a gap',
      'Started again 0.5 s ago: 0.3 s lost, 19 times in the last minute. 0.5 of 4 s of signal.',
      0.5,
    ],
    [
      'baseline 34 of 60 s',
      'Taking a baseline',
      '34 of 60 s. Sit still and look at one point.',
      34,
    ],
  ])('has the progress of "%s"', (message, title, reason, done) => {
    const early = {
      ...prediction('a', 1, 1, null),
      reason: message,
      status: 'warming_up',
    } as const;
    expect(availability({ ...snapshot, prediction: early }, connected, 0)).toMatchObject({
      ...{ available: false, title, reason },
      progress: { done },
    });
  });

  it('is nothing without a connection', () => {
    const waiting = { phase: 'waiting', until: 0, why: '' } as const;
    expect(availability(snapshot, waiting, 0)).toMatchObject({
      ...{ available: false, title: 'Not connected' },
    });
  });
});
