// @vitest-environment happy-dom
import { type Component, flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import Markers from '../../src/components/session/Markers.svelte';
import Recorder from '../../src/components/recordings/Recorder.svelte';
import RecordingList from '../../src/components/recordings/Recordings.svelte';
import type { Marker, Subscribed } from '../../src/connection/protocol';
import { type Recording, type Recordings, lengthOf, size } from '../../src/requests/recordings';
import { Session } from '../../src/state/session.svelte';
import { subscribed } from '../service';
import { find, text, there } from '../dom';

let shown: Record<string, unknown> | null = null;
let session: Session;
let list: Recording[];
let asked: unknown[];
let refusal: string | null;

const recording = (change: Partial<Recording>): Recording => ({
  ...{ name: 'day1', state: 'finished', reason: null, session: 'a', source: 'Muse 2' },
  ...{ person: 'p7', notes: null, model: 'demo', started: '2026-01-02T10:00:00+00:00' },
  ...{ ended: '2026-01-02T10:01:05+00:00', seconds: null, bytes: 7000 },
  ...change,
});

/** An answer, or the refusal that a test wants; what was asked is kept. */
function answer<T>(what: unknown, value: () => T): Promise<T> {
  asked.push(what);
  return refusal ? Promise.reject(new Error(refusal)) : Promise.resolve(value());
}

const recordings: Recordings = {
  list: () => Promise.resolve(list),
  read: (name) => Promise.resolve(list.find((each) => each.name === name)!),
  start: (id, name) =>
    answer(['start', id, name], () => {
      list = [recording({ name: name ?? 'made', state: 'recording', ended: null })];
      return list[0]!;
    }),
  stop: (name) => answer(['stop', name], () => (list = [recording({ name })])[0]!),
  remove: (name) => answer(['remove', name], () => void (list = [])),
  export: (name, format) => answer(['export', name, format], () => new Blob()),
  upload: (file, person, progress) => {
    progress(0.5);
    return { done: answer([file.name, person], () => recording({})), cancel: () => undefined };
  },
  play: (name) => answer(['play', name], () => 'replay-2'),
};

async function settled(): Promise<void> {
  session.publish();
  flushSync();
  await new Promise((resolve) => setTimeout(resolve, 0));
  flushSync();
}

async function render<Props extends Record<string, unknown>>(
  component: Component<Props>,
  props: Props,
): Promise<void> {
  shown = mount(component, { target: document.body, props });
  await settled();
}

beforeEach(() => {
  session = new Session('a', '');
  session.subscribed(subscribed('a', 'e1') as Subscribed);
  session.publish();
  [list, asked, refusal] = [[], [], null];
});

afterEach(async () => {
  if (shown) await unmount(shown);
  shown = null;
  document.body.replaceChildren();
  localStorage.clear();
});

describe('Recorder', () => {
  it('starts with the name that was given, and stops', async () => {
    await render(Recorder, { session, recordings });
    const name = find<HTMLInputElement>('record-name');
    name.value = ' day2 ';
    name.dispatchEvent(new Event('input', { bubbles: true }));
    find('record-start').click();
    await settled();
    expect(asked).toEqual([['start', 'a', 'day2']]);
    expect(text('recorder-state')).toContain('Recording day2');
    find('record-stop').click();
    await settled();
    expect(text('recorder-state')).toBe('day2 has ended after 1:05.');
  });

  it('finds the one that somebody else has begun', async () => {
    list = [
      recording({ name: 'other', state: 'recording', session: 'b' }),
      recording({ name: 'mine', state: 'recording' }),
    ];
    await render(Recorder, { session, recordings });
    expect(text('recorder-state')).toContain('Recording mine');
  });

  it('says why one ended by itself', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    list = [recording({ state: 'recording', ended: null })];
    await render(Recorder, { session, recordings });
    list = [recording({ state: 'unfinished', reason: 'the disk is full' })];
    vi.advanceTimersByTime(1000);
    await settled();
    vi.useRealTimers();
    expect(text('recorder-state')).toBe('day1 has ended after 1:05: the disk is full.');
  });

  it('says why it may not', async () => {
    refusal = 'the name is taken';
    await render(Recorder, { session, recordings });
    find('record-start').click();
    await settled();
    expect(asked).toEqual([['start', 'a', null]]);
    expect(text('recorder-problem')).toBe('The name is taken.');
  });
});

describe('Markers', () => {
  const mark = (label: string): Promise<void> => answer(label, () => undefined);
  const press = (key: string): void =>
    void document.body.dispatchEvent(
      new KeyboardEvent('keydown', { key, code: `Digit${key}`, bubbles: true }),
    );

  it('are set by button and by key, with the own label', async () => {
    localStorage.setItem('mimamba.labels', '["rest", ""]');
    await render(Markers, { session, mark });
    expect(text('mark-1')).toBe('1 rest');
    expect(there('mark-2')).toBe(false);
    for (const key of ['1', '2', '3']) press(key);
    find('mark-1').click();
    await settled();
    expect(asked).toEqual(['rest', 'Mark 3', 'rest']);
  });

  it('have labels that can be changed, which are kept', async () => {
    await render(Markers, { session, mark });
    find('edit-labels').click();
    flushSync();
    const field = find<HTMLInputElement>('label-1');
    field.value = 'music';
    field.dispatchEvent(new Event('input', { bubbles: true }));
    find('edit-labels').click();
    flushSync();
    expect(text('mark-1')).toBe('1 music');
    expect(localStorage.getItem('mimamba.labels')).toContain('music');
  });

  it('are listed, the newest first, and refused in words', async () => {
    refusal = 'the session is over';
    await render(Markers, { session, mark });
    for (const seq of [0, 1]) {
      const marker = { type: 'marker', session: 'a', seq, timestamp: 1, index: 256 * 65 * seq };
      session.mark({ ...marker, label: `m${seq}`, source: 'api' } as Marker);
    }
    press('1');
    await settled();
    expect(text('last-markers')).toBe('1:05 m1 (api)0:00 m0 (api)');
    expect(text('marker-problem')).toBe('The session is over.');
  });
});

describe('Recordings', () => {
  let closed: number;
  let watched: string[];
  const open = (mayControl = true): Promise<void> => {
    [closed, watched] = [0, []];
    const close = (): void => void (closed += 1);
    return render(RecordingList, {
      recordings,
      mayControl,
      close,
      watch: (id: string) => watched.push(id),
    });
  };

  it('say what each is', async () => {
    list = [
      recording({}),
      recording({ name: 'sent', state: 'uploaded', seconds: 61, person: null }),
    ];
    await open();
    expect(text('recording-day1')).toContain('Length 1:05Person p7Model demoFrom Muse 2');
    expect(text('recording-sent')).toContain('uploaded Length 1:01Model demo');
  });

  it('are played in a session of their own', async () => {
    list = [recording({})];
    await open();
    find('replay').click();
    await settled();
    expect([asked, watched, closed]).toEqual([[['play', 'day1']], ['replay-2'], 1]);
  });

  it('are deleted only after a second word', async () => {
    list = [recording({})];
    await open();
    find('delete').click();
    await settled();
    expect(asked).toEqual([]);
    find('delete-confirm').click();
    await settled();
    expect(asked).toEqual([['remove', 'day1']]);
    expect(there('no-recordings')).toBe(true);
  });

  it('cannot be moved while they are made', async () => {
    list = [recording({ state: 'recording', ended: null })];
    await open();
    for (const testid of ['replay', 'delete', 'export', 'download'])
      expect(there(testid)).toBe(false);
  });

  it('can only be looked at and fetched without the right to control', async () => {
    list = [recording({})];
    await open(false);
    for (const testid of ['replay', 'delete', 'upload']) expect(there(testid)).toBe(false);
    for (const testid of ['download', 'export']) expect(there(testid)).toBe(true);
  });

  it('say why something was refused', async () => {
    list = [recording({})];
    refusal = 'EDF cannot hold 1e30';
    await open();
    find('export').click();
    await settled();
    expect(text('recording-problem')).toBe('EDF cannot hold 1e30.');
  });
});

it.each([
  [{}, 65],
  [{ seconds: 7.5 }, 7.5],
  [{ ended: null }, null],
  [{ started: null }, null],
  [{ state: 'recording', ended: null } as const, 20],
])('the length of %o is %s s', (change, seconds) => {
  expect(lengthOf(recording(change), Date.parse('2026-01-02T10:00:20Z'))).toBe(seconds);
});

it.each([
  [0, '0 kB'],
  [1001, '2 kB'],
  [3_440_000, '3.4 MB'],
  [2_000_000_000, '2.0 GB'],
])('%i bytes are %s', (bytes, words) => {
  expect(size(bytes)).toBe(words);
});
