// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import Recorder from '../../src/components/recordings/Recorder.svelte';
import Recordings from '../../src/components/recordings/Recordings.svelte';
import type { Subscribed } from '../../src/connection/protocol';
import type { Recording, RecordingApi } from '../../src/requests/recordings';
import { Session } from '../../src/state/session.svelte';
import { SessionRecorder } from '../../src/state/session_recorder.svelte';
import { click, enter, render, settled, text, there } from '../dom';
import { recording, subscribed } from '../service';

let session: Session;
let list: Recording[];
/** Requests that were sent. */
let sent: unknown[];
/** Error of the next requests, or null. */
let failure: string | null;

function respond<T>(request: unknown, value: () => T): Promise<T> {
  sent.push(request);
  return failure ? Promise.reject(new Error(failure)) : Promise.resolve(value());
}

const recordingApi: RecordingApi = {
  list: () => Promise.resolve(list),
  read: (name) => Promise.resolve(list.find((each) => each.name === name)!),
  start: (id, name) =>
    respond(['start', id, name], () => {
      list = [recording({ name: name ?? 'made', state: 'recording', ended: null })];
      return list[0]!;
    }),
  stop: (name) => respond(['stop', name], () => (list = [recording({ name })])[0]!),
  remove: (name) => respond(['remove', name], () => void (list = [])),
  export: (name, format) => respond(['export', name, format], () => new Blob()),
  upload: (file, person, onProgress) => {
    onProgress(0.5);
    return { done: respond([file.name, person], () => recording({})), cancel: () => undefined };
  },
  play: (name) => respond(['play', name], () => 'replay-2'),
};

beforeEach(() => {
  session = new Session('a', '');
  session.setSubscribed(subscribed('a', 'e1') as Subscribed);
  session.publish();
  [list, sent, failure] = [[], [], null];
});

describe('Recorder', () => {
  let unfollow = (): void => undefined;
  afterEach(() => unfollow());

  async function show(): Promise<void> {
    const recorder = new SessionRecorder(session, recordingApi);
    unfollow = recorder.follow();
    render(Recorder, { recorder });
    await settled();
  }

  it('starts with the given name, and stops', async () => {
    await show();
    enter('record-name', ' day2 ', 'input');
    await click('record-start');
    expect(sent).toEqual([['start', 'a', 'day2']]);
    expect(text('recorder-state')).toContain('Recording day2');
    await click('record-stop');
    expect(text('recorder-state')).toBe('Recording day2 stopped after 1:05.');
  });

  it('finds a running recording that another page has started', async () => {
    list = [
      recording({ name: 'other', state: 'recording', session: 'b' }),
      recording({ name: 'mine', state: 'recording' }),
    ];
    await show();
    expect(text('recorder-state')).toContain('Recording mine');
  });

  it('shows why a recording stopped by itself', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    list = [recording({ state: 'recording', ended: null })];
    await show();
    list = [recording({ state: 'unfinished', reason: 'the disk is full' })];
    vi.advanceTimersByTime(1000);
    await settled();
    vi.useRealTimers();
    expect(text('recorder-state')).toBe('Recording day1 stopped after 1:05: the disk is full.');
  });

  it('shows an error', async () => {
    failure = 'the name is taken';
    await show();
    await click('record-start');
    expect(sent).toEqual([['start', 'a', null]]);
    expect(text('recorder-problem')).toBe('The name is taken.');
  });
});

describe('Recordings', () => {
  let closed: number;
  let watched: string[];

  async function show(mayControl = true): Promise<void> {
    [closed, watched] = [0, []];
    const close = (): void => void (closed += 1);
    const watch = (id: string): void => void watched.push(id);
    render(Recordings, { recordingApi, mayControl, close, watch });
    await settled();
  }

  it('show facts about each recording', async () => {
    list = [
      recording({}),
      recording({ name: 'sent', state: 'uploaded', seconds: 61, person: null }),
    ];
    await show();
    expect(text('recording-day1')).toContain('Duration 1:05Person p7Model demoSource Muse 2');
    expect(text('recording-sent')).toContain('uploaded Duration 1:01Model demo');
  });

  it('are replayed in a session of their own', async () => {
    list = [recording({})];
    await show();
    await click('replay');
    expect([sent, watched, closed]).toEqual([[['play', 'day1']], ['replay-2'], 1]);
  });

  it('are deleted after a confirmation', async () => {
    list = [recording({})];
    await show();
    await click('delete');
    expect(sent).toEqual([]);
    await click('delete-confirm');
    expect(sent).toEqual([['remove', 'day1']]);
    expect(there('no-recordings')).toBe(true);
  });

  it('can only be stopped while they run', async () => {
    list = [recording({ state: 'recording', ended: null })];
    await show();
    for (const testid of ['replay', 'delete', 'export', 'download'])
      expect(there(testid)).toBe(false);
  });

  it('can be downloaded and exported without permission to control', async () => {
    list = [recording({})];
    await show(false);
    for (const testid of ['replay', 'delete', 'upload']) expect(there(testid)).toBe(false);
    for (const testid of ['download', 'export']) expect(there(testid)).toBe(true);
  });

  it('show an error', async () => {
    list = [recording({})];
    failure = 'EDF cannot store 1e30';
    await show();
    await click('export');
    expect(text('recording-problem')).toBe('EDF cannot store 1e30.');
  });
});
