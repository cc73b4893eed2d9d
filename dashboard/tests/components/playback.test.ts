// @vitest-environment happy-dom
import { flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import Transport from '../../src/components/recordings/Playback.svelte';
import type { Link, Signal, Subscribed } from '../../src/connection/protocol';
import type { Replay, ReplayChange, Replays } from '../../src/requests/replay';
import { Session } from '../../src/state/session.svelte';
import { clockTime } from '../../src/text/wording';
import { signal, subscribed } from '../service';
import { find, text } from '../dom';

let shown: Record<string, unknown> | null = null;
let session: Session;
let replay: Replay;
let changes: ReplayChange[];
let refusal: string | null;
let reads: number;

const replays: Replays = {
  read: () => {
    reads += 1;
    return Promise.resolve({ ...replay });
  },
  timeline: () => Promise.resolve({ model: null, position: [], outputs: {} }),
  change: (_, change) => {
    changes.push(change);
    if (refusal) return Promise.reject(new Error(refusal));
    Object.assign(replay, change);
    return Promise.resolve({ ...replay });
  },
};

/** Let answers arrive and show what they say. */
async function settled(): Promise<void> {
  session.publish();
  flushSync();
  await new Promise((resolve) => setTimeout(resolve, 0));
  flushSync();
}

function enter(testid: string, value: string, ...events: string[]): void {
  find<HTMLInputElement>(testid).value = value;
  for (const event of events) find(testid).dispatchEvent(new Event(event, { bubbles: true }));
}

const hear = (seq: number, first: number): void =>
  session.signal(signal('a', seq, first) as Signal, 0);

const tell = (event: Link['event']): void =>
  session.link({
    ...{ type: 'link', session: 'a', seq: 0, timestamp: 0, event, detail: '' },
    ...{ first: null, lost: null },
  });

beforeEach(async () => {
  session = new Session('a', '');
  session.subscribed(subscribed('a', 'e1') as Subscribed);
  replay = { position: 5, length: 90, speed: 1, paused: false, loop: false, markers: [] };
  [changes, refusal, reads] = [[], null, 0];
  shown = mount(Transport, { target: document.body, props: { session, replays } });
  await settled();
});

afterEach(async () => {
  if (shown) await unmount(shown);
  shown = null;
  document.body.replaceChildren();
});

describe('Transport', () => {
  it('says where the recording is, in numbers and in words', () => {
    expect(text('time')).toBe('0:05 / 1:30');
    const slider = find<HTMLInputElement>('position');
    expect(slider.valueAsNumber).toBe(5);
    expect(slider.max).toBe('90');
    expect(slider.getAttribute('aria-valuetext')).toBe('0:05 of 1:30');
  });

  it('goes on with the samples, and stands while it is paused', async () => {
    hear(0, 256 * 20);
    await settled();
    expect(text('time')).toBe('0:20 / 1:30');
    expect(reads).toBe(1);
    Object.assign(replay, { paused: true, position: 21 });
    tell('paused');
    hear(1, 256 * 21);
    await settled();
    expect(text('time')).toBe('0:21 / 1:30');
    expect(text('play')).toContain('Play');
  });

  it('plays and pauses', async () => {
    expect(text('play')).toContain('Pause');
    find('play').click();
    await settled();
    expect(text('play')).toContain('Play');
    find('play').click();
    await settled();
    expect(changes).toEqual([{ paused: true }, { paused: false }]);
  });

  it('seeks when the slider is let go, not while it is held', async () => {
    enter('position', '60', 'input');
    await settled();
    expect(text('time')).toBe('1:00 / 1:30');
    expect(changes).toEqual([]);
    hear(0, 256 * 6);
    await settled();
    expect(text('time')).toBe('1:00 / 1:30');
    enter('position', '61', 'input', 'change');
    await settled();
    expect(changes).toEqual([{ position: 61 }]);
    expect(text('time')).toBe('1:01 / 1:30');
    session.subscribed(subscribed('a', 'e2') as Subscribed);
    await settled();
    expect(text('time')).toBe('1:01 / 1:30');
    hear(0, 256 * 62);
    await settled();
    expect(text('time')).toBe('1:02 / 1:30');
  });

  it('sets the speed and the loop', async () => {
    enter('speed', '8', 'change');
    await settled();
    enter('speed', 'max', 'change');
    find('loop').click();
    await settled();
    expect(changes).toEqual([{ speed: 8 }, { speed: 'max' }, { loop: true }]);
    expect(find<HTMLSelectElement>('speed').value).toBe('max');
    expect(find<HTMLInputElement>('loop').checked).toBe(true);
  });

  it('shows a speed that it does not offer', async () => {
    Object.assign(replay, { speed: 3 });
    tell('playing');
    await settled();
    expect(find<HTMLSelectElement>('speed').value).toBe('3');
  });

  it('asks again at the end, where a recording may pause by itself', async () => {
    Object.assign(replay, { paused: true, position: 90 });
    hear(0, 256 * 90 - 2);
    await settled();
    expect(reads).toBe(2);
    expect(text('play')).toContain('Play');
    expect(text('time')).toBe('1:30 / 1:30');
  });

  it('says why something was refused, until something is not', async () => {
    refusal = 'stop the recording first';
    enter('position', '61', 'input', 'change');
    await settled();
    expect(text('transport-problem')).toBe('stop the recording first');
    expect(text('time')).toBe('0:05 / 1:30');
    refusal = null;
    find('play').click();
    await settled();
    expect(document.querySelector('[role=alert]')).toBeNull();
  });
});

it.each([
  [0, '0:00'],
  [63.9, '1:03'],
  [7203, '2:00:03'],
])('%f s is %s', (seconds, words) => {
  expect(clockTime(seconds)).toBe(words);
});
