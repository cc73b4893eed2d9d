// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Subscribed } from 'mimamba-client';
import MarkerEditor from '../../src/components/recordings/MarkerEditor.svelte';
import Recorder from '../../src/components/recordings/Recorder.svelte';
import Recordings from '../../src/components/recordings/Recordings.svelte';
import type {
  MarkerApi,
  MarkerOfRecording,
  Recording,
  RecordingApi,
} from '../../src/requests/recordings';
import { UploadQueue } from '../../src/state/upload_queue.svelte';
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
  start: (id, title) =>
    respond(['start', id, title], () => {
      list = [recording({ name: 'made', title, state: 'recording', ended: null })];
      return list[0]!;
    }),
  change: (name, facts) =>
    respond(['change', name, facts], () => (list = [recording({ name, ...facts })])[0]!),
  stop: (name) =>
    respond(['stop', name], () => (list = [recording({ name, title: list[0]!.title })])[0]!),
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

  it('starts with the given title, and stops', async () => {
    await show();
    enter('record-name', ' Tag 2: müde ', 'input');
    await click('record-start');
    expect(sent).toEqual([['start', 'a', 'Tag 2: müde']]);
    expect(text('recorder-state')).toContain('Recording Tag 2: müde');
    await click('record-stop');
    expect(text('recorder-state')).toBe('Recording Tag 2: müde stopped after 1:05.');
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
  let shown: string[];
  let uploads: UploadQueue;

  async function show(mayControl = true): Promise<void> {
    shown = [];
    uploads = new UploadQueue((file, person, report) => recordingApi.upload(file, person, report));
    render(Recordings, {
      ...{ recordingApi, uploads, mayControl, close: null },
      show: (id: string) => void shown.push(id),
    });
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

  it('have a title and notes, which can be changed', async () => {
    list = [recording({ title: 'Tag 1 <b>' })];
    await show();
    expect(text('recording-day1')).toContain('Tag 1 <b>');
    expect(text('recording-day1')).toContain('File day1.xdf');
    await click('edit-recording');
    enter('recording-title', ' ', 'input');
    enter('recording-notes', 'müde\nlaut', 'input');
    failure = 'the disk is full';
    await click('save-recording');
    expect(text('recording-problem')).toBe('The disk is full.');
    failure = null;
    await click('save-recording');
    expect(sent.at(-1)).toEqual(['change', 'day1', { title: null, notes: 'müde\nlaut' }]);
    expect(text('recording-day1')).toContain('Notes müde laut');
    expect(text('recording-day1')).not.toContain('File');
  });

  it.each([
    ['title', { title: 'Tag 2' }],
    ['notes', { notes: 'Tag 2' }],
  ])('keep what was not changed here: only the %s are sent', async (field, facts) => {
    list = [recording({ title: 'Tag 1', notes: 'müde' })];
    await show();
    await click('edit-recording');
    enter(`recording-${field}`, ' Tag 2 ', 'input');
    await click('save-recording');
    expect(sent).toEqual([['change', 'day1', facts]]);
  });

  it('are replayed in a session of their own', async () => {
    list = [recording({})];
    await show();
    expect(there('close-recordings')).toBe(false); // no session to go back to
    await click('replay');
    expect([sent, shown]).toEqual([[['play', 'day1']], ['replay-2']]);
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
    list = [recording({}), recording({ name: 'fed', feedback: true })];
    await show(false);
    for (const testid of ['replay', 'delete', 'upload']) expect(there(testid)).toBe(false);
    for (const testid of ['download', 'export']) expect(there(testid)).toBe(true);
    // The file of the second one says whose values were shown as feedback.
    expect(document.querySelectorAll('[data-testid=download]')).toHaveLength(1);
    expect(text('no-download')).toContain('It needs a token for control');
  });

  it('show an error', async () => {
    list = [recording({})];
    failure = 'EDF cannot store 1e30';
    await show();
    await click('export');
    expect(text('recording-problem')).toBe('EDF cannot store 1e30.');
  });
});

describe('MarkerEditor', () => {
  let markers: MarkerOfRecording[];
  const marker = (id: string, change: Partial<MarkerOfRecording> = {}): MarkerOfRecording => ({
    ...{ id, position: 65.25, label: 'go', source: 'page', state: 'recorded', date: null },
    ...{ recorded: null },
    ...change,
  });
  const edited = (id: string, change: Partial<MarkerOfRecording>): MarkerOfRecording =>
    marker(id, { date: '2026-01-02T10:00:00+00:00', ...change });
  const markerApi: MarkerApi = {
    list: (name) => respond(['list', name], () => markers),
    add: (_, facts) => respond(facts, () => edited('a1', { ...facts, state: 'added' })),
    change: (_, id, facts) =>
      respond([id, facts], () =>
        edited(id, { ...facts, state: 'changed', recorded: { position: 65.25, label: 'go' } }),
      ),
    remove: (_, id) => respond(['remove', id], () => edited(id, { state: 'deleted' })),
    restore: (_, id) => respond(['restore', id], () => marker(id)),
  };

  async function show(mayControl = true): Promise<void> {
    render(MarkerEditor, { recording: 'day1', markerApi, mayControl });
    await settled();
    sent = [];
  }
  beforeEach(() => (markers = [marker('r0', { position: 0.1234 }), marker('r1')]));

  it('adds a marker in its place', async () => {
    await show();
    enter('position-new', '3.5', 'input');
    enter('label-new', ' now ', 'input');
    await click('save-new');
    expect(sent).toEqual([{ position: 3.5, label: 'now' }]);
    const order = [...document.querySelectorAll('li')].map((each) => each.dataset['testid']);
    expect(order).toEqual(['marker-r0', 'marker-a1', 'marker-r1']);
    expect(text('marker-a1')).toMatch(/now page, .*2026/);
  });

  it('changes what differs only, deletes and restores', async () => {
    await show();
    await click('edit-r0');
    enter('label-r0', 'went', 'input');
    await click('save-r0');
    expect(sent).toEqual([['r0', { label: 'went' }]]);
    await click('edit-r1');
    enter('position-r1', '66', 'input');
    failure = 'outside';
    await click('save-r1');
    expect(text('marker-problem')).toBe('Outside.');
    failure = null;
    await click('save-r1');
    expect(sent.at(-1)).toEqual(['r1', { position: 66 }]);
    expect(text('marker-r1')).toMatch(
      /1:06 \(66.000 s\) go .*changed .* from 1:05 \(65.250 s\), go/,
    );
    await click('delete-r1');
    expect(there('edit-r1')).toBe(false);
    await click('restore-r1');
    expect(sent.slice(-2)).toEqual([
      ['remove', 'r1'],
      ['restore', 'r1'],
    ]);
    expect(there('restore-r1')).toBe(false);
  });

  it('finds one of many', async () => {
    markers = Array.from({ length: 120 }, (_, n) => marker(`r${n}`, { label: `trial ${n}` }));
    await show(false);
    expect(document.querySelectorAll('li')).toHaveLength(50);
    enter('marker-search', 'TRIAL 11', 'input');
    expect(document.querySelectorAll('li')).toHaveLength(11);
    expect(there('edit-r11')).toBe(false);
  });
});
