import { beforeEach, describe, expect, it } from 'vitest';
import type { LinkMessage, SignalMessage, Subscribed } from 'mimamba-client';
import { BUFFER_SECONDS, Session } from '../../src/state/session.svelte';
import { previewProgress } from '../../src/study/preview';
import { head, progress } from '../calibration/examples';
import { info, prediction, quality, signal, subscribed } from '../service';

let session: Session;
const link = (seq: number, event: LinkMessage['event'], timestamp = 0, more = {}): LinkMessage => ({
  ...{ type: 'link', session: 'a', seq, timestamp, event, detail: event, first: null, lost: null },
  ...more,
});
const subscribe = (epoch: string): void =>
  session.setSubscribed(subscribed('a', epoch) as Subscribed);
const addSignal = (seq: number, first: number, count: number, stamp = 0): void =>
  session.addSignal(signal('a', seq, first, count, stamp) as SignalMessage, 50);

beforeEach(() => {
  session = new Session('a', 'simulate://');
  subscribe('e1');
});

describe('Session', () => {
  it('shows a burst at once, when it is published', () => {
    const before = session.snapshot;
    for (let i = 0; i < 1000; i++) addSignal(i, i * 32, 32, i);
    expect(session.snapshot).toBe(before);
    session.publish();
    expect(session.snapshot).toMatchObject({
      latestIndex: 31999,
      latestTimestamp: 999,
      arrival: 50,
    });
    expect(session.ring?.capacity).toBe(BUFFER_SECONDS * info.sfreq);
    const after = session.snapshot;
    session.publish();
    expect(session.snapshot).toBe(after);
  });

  it('starts again in another epoch, and continues in the same', () => {
    addSignal(0, 0, 10);
    session.addPrediction(prediction('a', 0, 1, 0.7));
    session.addQuality(quality('a', 0, 511, { TP9: { score: 1, reason: null } }));
    session.addLink(link(0, 'gap', 0, { first: 3, lost: 7 }));
    const { ring } = session;
    subscribe('e1');
    session.publish();
    expect(session.ring).toBe(ring);
    expect(session.snapshot).toMatchObject({ gaps: 1, lostSamples: 7, latestIndex: 9 });
    expect(session.snapshot.quality?.channels['TP9']?.score).toBe(1);
    subscribe('e2');
    session.publish();
    expect(session.ring?.newest).toBe(-1);
    expect(session.snapshot).toMatchObject({
      gaps: 0,
      lostSamples: 0,
      latestIndex: -1,
      prediction: null,
      quality: null,
    });
  });

  it('shows the newest bands and rate of this epoch only', () => {
    const bands = { type: 'bands', session: 'a', seq: 0, index: 511, timestamp: 2 } as const;
    session.addBands({ ...bands, channels: {} });
    for (let second = 0; second <= 3; second++) addSignal(second, second * 256, 256, second);
    session.publish();
    expect(session.snapshot).toMatchObject({ bands: { index: 511 }, rate: 256 });
    subscribe('e2');
    addSignal(0, 0, 256, 9);
    session.publish();
    expect(session.snapshot).toMatchObject({ bands: null, rate: null });
  });

  it('counts a loss from its start', () => {
    session.addLink(link(0, 'connected', 10));
    session.addLink(link(1, 'lost', 20));
    session.addLink(link(2, 'retrying', 25));
    session.addLink(link(3, 'restarted', 26));
    session.publish();
    expect(session.snapshot.link).toEqual({ state: 'retrying', detail: 'retrying', since: 20 });
    session.addLink(link(4, 'connected', 30));
    session.publish();
    expect(session.snapshot.link).toMatchObject({ state: 'connected', since: 30 });
  });

  it('counts missed messages and skipped hops', () => {
    session.addSkipped({ type: 'skipped', session: 'a', topic: 'signal', from: 3, to: 9 });
    session.addLink(link(0, 'hops_skipped'));
    session.publish();
    expect(session.snapshot).toMatchObject({ missed: 7, hopsSkipped: 1 });
  });

  it('keeps the title and the battery, whichever answer of the service comes first', () => {
    const listed = { info, model: null, outputs: null, montage: null, delay: null, link: null };
    const facts = { id: 'a', state: 'open' as const, reason: null, source: 'x', person: null };
    session.update({ ...listed, ...facts, seekable: true, battery: 80, title: 'Day 1' });
    subscribe('e2');
    session.publish();
    expect(session.snapshot).toMatchObject({ title: 'Day 1', battery: 80, seekable: true });
  });

  it('keeps the last baseline event in another epoch', () => {
    session.addLink(link(0, 'baseline_begun'));
    session.addLink(link(1, 'baseline_taken'));
    subscribe('e2');
    session.publish();
    expect(session.snapshot.baseline?.event).toBe('baseline_taken');
  });

  it('keeps a study over epochs while it goes on, and the service tells of it', () => {
    const study = { type: 'study', session: 'a', seq: 0, timestamp: 10, id: 's' } as const;
    const goesOn = previewProgress('Training', { step: [{ text: 'Rest', seconds: 5 }] }, 1);
    const shown = (): string | undefined => {
      session.publish();
      return session.snapshot.study?.progress.phase;
    };
    session.addStudy({ ...study, progress: goesOn }, 0);
    subscribe('e2');
    expect(shown()).toBe('step');
    session.noteNewest(0, 0, 100);
    session.addStudy({ ...study, progress: goesOn }, 101);
    session.noteNewest(1, 1, 200);
    expect(shown()).toBe('step');
    subscribe('e3'); // it ended unheard
    session.noteNewest(0, 0, 300);
    expect(shown()).toBe('step');
    session.noteNewest(1, 1, 306);
    expect(shown()).toBeUndefined();
    session.addStudy({ ...study, progress: { ...goesOn, phase: 'done' } }, 0);
    subscribe('e4');
    expect(shown()).toBeUndefined();
  });

  it('drops the prediction of another model', () => {
    session.addPrediction(prediction('a', 0, 1, 0.7));
    const other = subscribed('a', 'e1') as Subscribed;
    session.setSubscribed({ ...other, model: { ...other.model!, sha256: 'cd' } });
    session.publish();
    expect(session.snapshot.prediction).toBeNull();
    expect(session.history.output('valence', ['high']).seconds).toHaveLength(0);
  });

  it('knows the personal output, the calibration and the ratings', () => {
    const state = { type: 'calibration', session: 'a', seq: 0, index: 0, timestamp: 0 } as const;
    const rating = { type: 'rating', session: 'a', index: 0, timestamp: 0, outputs: null } as const;
    session.setSubscribed({ ...(subscribed('a', 'e1') as Subscribed), head: head() });
    session.addCalibration({ ...state, id: 'c1', progress: progress({ block: 3 }) }, 7);
    for (let seq = 0; seq < 300; seq++)
      session.addRating({ ...rating, seq, valence: 70, arousal: 40, personal: null });
    session.publish();
    expect(session.snapshot.head?.id).toBe('h1');
    expect(session.snapshot.calibration).toMatchObject({ arrival: 7, progress: { block: 3 } });
    expect(session.ratings).toHaveLength(256);
    subscribe('e2');
    session.publish();
    expect(session.snapshot).toMatchObject({ head: null, calibration: null });
    expect(session.ratings).toEqual([]);
  });
});
