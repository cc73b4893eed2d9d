import { beforeEach, describe, expect, it } from 'vitest';
import type { Link, Signal, Subscribed } from '../../src/connection/protocol';
import { Session, KEPT_SECONDS } from '../../src/state/session.svelte';
import { info, prediction, quality, signal, subscribed } from '../service';

let session: Session;
const link = (seq: number, event: Link['event'], timestamp = 0, more = {}): Link => ({
  ...{ type: 'link', session: 'a', seq, timestamp, event, detail: event, first: null, lost: null },
  ...more,
});
const place = (epoch: string): void => session.subscribed(subscribed('a', epoch) as Subscribed);
const write = (seq: number, first: number, count: number, stamp = 0): void =>
  session.signal(signal('a', seq, first, count, stamp) as Signal, 50);

beforeEach(() => {
  session = new Session('a', 'simulate://');
  place('e1');
});

describe('Session', () => {
  it('makes a burst visible at once, and only when it is published', () => {
    const before = session.view;
    for (let i = 0; i < 1000; i++) write(i, i * 32, 32, i);
    expect(session.view).toBe(before);
    session.publish();
    expect(session.view).toMatchObject({ latestIndex: 31999, latestTimestamp: 999, arrival: 50 });
    expect(session.ring?.capacity).toBe(KEPT_SECONDS * info.sfreq);
    const after = session.view;
    session.publish();
    expect(session.view).toBe(after);
  });

  it('begins anew in another epoch, and goes on in the same', () => {
    write(0, 0, 10);
    session.predict(prediction('a', 0, 1, 0.7));
    session.measure(quality('a', 0, 511, { TP9: { score: 1, reason: null } }));
    session.link(link(0, 'gap', 0, { first: 3, lost: 7 }));
    const { ring } = session;
    place('e1');
    session.publish();
    expect(session.ring).toBe(ring);
    expect(session.view).toMatchObject({ gaps: 1, lostSamples: 7, latestIndex: 9 });
    expect(session.view.quality?.channels['TP9']?.score).toBe(1);
    place('e2');
    session.publish();
    expect(session.ring?.newest).toBe(-1);
    expect(session.view).toMatchObject({
      gaps: 0,
      lostSamples: 0,
      latestIndex: -1,
      prediction: null,
      quality: null,
    });
  });

  it('shows the newest bands, and the rate once it is known, of this epoch alone', () => {
    const bands = { type: 'bands', session: 'a', seq: 0, index: 511, timestamp: 2 } as const;
    session.weigh({ ...bands, channels: {} });
    for (let second = 0; second <= 3; second++) write(second, second * 256, 256, second);
    session.publish();
    expect(session.view).toMatchObject({ bands: { index: 511 }, rate: 256 });
    place('e2');
    write(0, 0, 256, 9);
    session.publish();
    expect(session.view).toMatchObject({ bands: null, rate: null });
  });

  it('counts the time of a loss from its begin', () => {
    session.link(link(0, 'connected', 10));
    session.link(link(1, 'lost', 20));
    session.link(link(2, 'retrying', 25));
    session.link(link(3, 'restarted', 26));
    session.publish();
    expect(session.view.link).toEqual({ state: 'retrying', detail: 'retrying', since: 20 });
    session.link(link(4, 'connected', 30));
    session.publish();
    expect(session.view.link).toMatchObject({ state: 'connected', since: 30 });
  });

  it('counts what the page missed, and hops that were left out', () => {
    session.skipped({ type: 'skipped', session: 'a', topic: 'signal', from: 3, to: 9 });
    session.link(link(0, 'hops_skipped'));
    session.publish();
    expect(session.view).toMatchObject({ missed: 7, hopsSkipped: 1 });
  });

  it('remembers what became of a baseline, also in another epoch', () => {
    session.link(link(0, 'baseline_begun'));
    session.link(link(1, 'baseline_taken'));
    place('e2');
    session.publish();
    expect(session.view.baseline?.event).toBe('baseline_taken');
  });

  it('drops a prediction of another model', () => {
    session.predict(prediction('a', 0, 1, 0.7));
    const other = subscribed('a', 'e1') as Subscribed;
    session.subscribed({ ...other, model: { ...other.model!, sha256: 'cd' } });
    session.publish();
    expect(session.view.prediction).toBeNull();
    expect(session.history.past('valence', ['high']).seconds).toHaveLength(0);
  });
});
