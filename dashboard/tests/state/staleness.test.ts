import { beforeEach, describe, expect, it } from 'vitest';
import type { Subscribed } from 'mimamba-client';
import { Session, type SessionSnapshot } from '../../src/state/session.svelte';
import { ifCurrent, isStale } from '../../src/state/staleness';
import { subscribed } from '../service';

let snapshot: SessionSnapshot;

beforeEach(() => {
  const session = new Session('a', '');
  session.setSubscribed(subscribed('a', 'e1') as Subscribed);
  session.publish();
  const link = { state: 'connected', detail: '', since: 0 } as const;
  snapshot = { ...session.snapshot, latestIndex: 260, link };
});

describe('isStale', () => {
  it.each<[boolean, Partial<SessionSnapshot>, number | null]>([
    [true, {}, 2.1],
    [true, { link: { state: 'lost', detail: '', since: 0 } }, 5],
    [false, {}, 1.9],
    [false, {}, null],
    [false, { ended: true }, 9],
    [false, { link: { state: 'paused', detail: '', since: 0 } }, 9],
  ])('is %s for %j at %s s', (stale, change, age) => {
    expect(isStale({ ...snapshot, ...change }, age)).toBe(stale);
  });
});

describe('ifCurrent', () => {
  it('keeps a measurement within 1 s of the newest sample', () => {
    const measured = { index: 256 };
    expect(ifCurrent({ ...snapshot, latestIndex: 512 }, measured, 0.1)).toBe(measured);
    expect(ifCurrent({ ...snapshot, latestIndex: 513 }, measured, 0.1)).toBeNull();
    expect(ifCurrent({ ...snapshot, latestIndex: 512 }, measured, 2.1)).toBeNull();
    expect(ifCurrent({ ...snapshot, latestIndex: 512 }, null, 0.1)).toBeNull();
  });
});
