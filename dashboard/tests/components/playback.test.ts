// @vitest-environment happy-dom
import { beforeEach, describe, expect, it } from 'vitest';
import type { LinkMessage, SignalMessage, Subscribed } from 'mimamba-client';
import Playback from '../../src/components/recordings/Playback.svelte';
import type { Replay, ReplayApi, ReplayChange } from '../../src/requests/replay';
import { Session } from '../../src/state/session.svelte';
import { click, enter, find, render, settled, text } from '../dom';
import { signal, subscribed } from '../service';

let session: Session;
let replay: Replay;
let changes: ReplayChange[];
let failure: string | null;
let reads: number;

const replayApi: ReplayApi = {
  read: () => {
    reads += 1;
    return Promise.resolve({ ...replay });
  },
  predictions: () => Promise.resolve({ model: null, position: [], outputs: {} }),
  change: (_, change) => {
    changes.push(change);
    if (failure) return Promise.reject(new Error(failure));
    Object.assign(replay, change);
    return Promise.resolve({ ...replay });
  },
};

async function published(): Promise<void> {
  session.publish();
  await settled();
}

const addSignal = (seq: number, first: number): void =>
  session.addSignal(signal('a', seq, first) as SignalMessage, 0);

const addLink = (event: LinkMessage['event']): void =>
  session.addLink({
    ...{ type: 'link', session: 'a', seq: 0, timestamp: 0, event, detail: '' },
    ...{ first: null, lost: null },
  });

beforeEach(async () => {
  session = new Session('a', '');
  session.setSubscribed(subscribed('a', 'e1') as Subscribed);
  replay = { position: 5, length: 90, speed: 1, paused: false, loop: false, markers: [] };
  [changes, failure, reads] = [[], null, 0];
  session.publish();
  render(Playback, { session, replayApi });
  await settled();
});

describe('Playback', () => {
  it('shows the position on the slider and as text', () => {
    expect(text('time')).toBe('0:05 / 1:30');
    const slider = find<HTMLInputElement>('position');
    expect(slider.valueAsNumber).toBe(5);
    expect(slider.max).toBe('90');
    expect(slider.getAttribute('aria-valuetext')).toBe('0:05 of 1:30');
  });

  it('follows the samples, and stops while paused', async () => {
    addSignal(0, 256 * 20);
    await published();
    expect(text('time')).toBe('0:20 / 1:30');
    expect(reads).toBe(1);
    Object.assign(replay, { paused: true, position: 21 });
    addLink('paused');
    addSignal(1, 256 * 21);
    await published();
    expect(text('time')).toBe('0:21 / 1:30');
    expect(text('play')).toContain('Play');
  });

  it('plays and pauses', async () => {
    expect(text('play')).toContain('Pause');
    await click('play');
    expect(text('play')).toContain('Play');
    await click('play');
    expect(changes).toEqual([{ paused: true }, { paused: false }]);
  });

  it('seeks when the slider is released, not while it is dragged', async () => {
    enter('position', '60', 'input');
    await published();
    expect(text('time')).toBe('1:00 / 1:30');
    expect(changes).toEqual([]);
    addSignal(0, 256 * 6);
    await published();
    expect(text('time')).toBe('1:00 / 1:30');
    enter('position', '61', 'input', 'change');
    await published();
    expect(changes).toEqual([{ position: 61 }]);
    expect(text('time')).toBe('1:01 / 1:30');
    session.setSubscribed(subscribed('a', 'e2') as Subscribed);
    await published();
    expect(text('time')).toBe('1:01 / 1:30');
    addSignal(0, 256 * 62);
    await published();
    expect(text('time')).toBe('1:02 / 1:30');
  });

  it('sets speed and loop', async () => {
    enter('speed', '8', 'change');
    await published();
    enter('speed', 'max', 'change');
    await click('loop');
    expect(changes).toEqual([{ speed: 8 }, { speed: 'max' }, { loop: true }]);
    expect(find<HTMLSelectElement>('speed').value).toBe('max');
    expect(find<HTMLInputElement>('loop').checked).toBe(true);
  });

  it('shows a speed that is not in the list', async () => {
    Object.assign(replay, { speed: 3 });
    addLink('playing');
    await published();
    expect(find<HTMLSelectElement>('speed').value).toBe('3');
  });

  it('reloads at the end, where a recording may pause', async () => {
    Object.assign(replay, { paused: true, position: 90 });
    addSignal(0, 256 * 90 - 2);
    await published();
    expect(reads).toBe(2);
    expect(text('play')).toContain('Play');
    expect(text('time')).toBe('1:30 / 1:30');
  });

  it('shows an error until the next success', async () => {
    failure = 'stop the recording first';
    enter('position', '61', 'input', 'change');
    await published();
    expect(text('playback-problem')).toBe('Stop the recording first.');
    expect(text('time')).toBe('0:05 / 1:30');
    failure = null;
    await click('play');
    expect(document.querySelector('[role=alert]')).toBeNull();
  });
});
