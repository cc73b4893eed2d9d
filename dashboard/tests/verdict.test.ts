import { beforeEach, describe, expect, it } from 'vitest';
import { Session, type View } from '../src/session.svelte';
import type { Subscribed } from '../src/protocol';
import { verdict } from '../src/verdict';
import { prediction, subscribed } from './service';

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

  it('shows nothing without a connection', () => {
    const waiting = { phase: 'waiting', until: 0, why: '' } as const;
    expect(verdict(view, waiting, 0)).toMatchObject({ shown: false, title: 'Not connected' });
  });
});
