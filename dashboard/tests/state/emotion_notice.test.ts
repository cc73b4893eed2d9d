// @vitest-environment happy-dom
import { flushSync } from 'svelte';
import { describe, expect, it } from 'vitest';
import type { PeopleApi, PersonRecord, SeenNotice } from '../../src/requests/people';
import { EmotionNotice } from '../../src/state/emotion_notice.svelte';
import { forgetHere } from '../../src/state/seen_notices';
import { Session } from '../../src/state/session.svelte';
import { settled } from '../dom';
import { model, subscribed } from '../service';

const OUTPUTS = { valence: ['low', 'high'] };

function browser(): Pick<Storage, 'getItem' | 'setItem'> {
  const kept = new Map<string, string>();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
  };
}

/** People of whom these have seen something; the others are not stored. */
function service(seen: Record<string, SeenNotice[]>): PeopleApi {
  const record = (person: string): PersonRecord => ({
    ...{ person, notes: null, baselines: [], recordings: [], damaged: null },
    ...{ age: null, sex: null, consent: null, acknowledgements: seen[person] ?? [] },
  });
  return {
    read: (person: string) =>
      seen[person] ? Promise.resolve(record(person)) : Promise.reject(new Error('nobody')),
    acknowledge: (person: string, _: string, outputs: Record<string, string[]>) => {
      if (person === 'damaged') return Promise.reject(new Error('cannot be read'));
      seen[person] = [{ outputs, date: '2026-01-02' }];
      return Promise.resolve(record(person));
    },
  } as PeopleApi;
}

async function noticeFor(
  person: string | null,
  api: PeopleApi,
  storage = browser(),
  mayControl = true,
  outputs: Record<string, string[]> = OUTPUTS,
  emotion = true,
): Promise<EmotionNotice> {
  const session = new Session('one', 'simulate://');
  const message = subscribed('one', 'e');
  if (message.type === 'subscribed')
    session.setSubscribed({ ...message, model: { ...model, emotion }, outputs });
  session.publish();
  session.snapshot = { ...session.snapshot, person };
  const notice = new EmotionNotice(session, api, mayControl, storage);
  notice.follow();
  await settled();
  flushSync();
  return notice;
}

describe('EmotionNotice', () => {
  it('is due once for a person, and again for other outputs', async () => {
    const api = service({});
    const first = await noticeFor('P01', api);
    expect([first.state, first.shown]).toEqual(['due', false]);
    await first.acknowledge();
    expect([first.state, first.shown]).toEqual(['seen', true]);
    expect((await noticeFor('P01', api)).seenAt).toBe('2026-01-02');
    expect((await noticeFor('P02', api)).state).toBe('due');
    const more = { ...OUTPUTS, arousal: ['low', 'high'] };
    expect((await noticeFor('P01', api, browser(), true, more)).state).toBe('due');
  });

  it('is kept in the browser for nobody, for viewers, and where a file is damaged', async () => {
    const [api, storage] = [service({}), browser()];
    for (const [person, mayControl] of [
      [null, true],
      ['P01', false],
      ['damaged', true],
    ] as const) {
      const notice = await noticeFor(person, api, storage, mayControl);
      await notice.acknowledge();
      expect(notice.shown).toBe(true);
      expect(notice.problem).toEqual(person === 'damaged' ? expect.any(String) : null);
      expect((await noticeFor(person, api, storage, mayControl)).state).toBe('seen');
    }
    forgetHere(storage, 'P01');
    expect((await noticeFor('P01', api, storage)).state).toBe('due');
    expect((await noticeFor(null, api, browser())).state).toBe('due');
  });

  it('is nothing for a model that infers no emotion', async () => {
    const workload = { workload: ['rest', 'arithmetic'] };
    const notice = await noticeFor(null, service({}), browser(), true, workload, false);
    expect([notice.state, notice.shown]).toEqual(['none', true]);
  });
});
