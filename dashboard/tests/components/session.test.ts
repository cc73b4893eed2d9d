// @vitest-environment happy-dom
import { flushSync } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { MarkerMessage, Subscribed } from 'mimamba-client';
import BaselinePanel from '../../src/components/session/Baseline.svelte';
import Markers from '../../src/components/session/Markers.svelte';
import Notices from '../../src/components/session/Notices.svelte';
import SessionControls from '../../src/components/session/SessionControls.svelte';
import SessionTabs from '../../src/components/session/SessionTabs.svelte';
import type { CatalogApi } from '../../src/requests/catalog';
import type { Baseline, SessionApi } from '../../src/requests/sessions';
import { Session, type SessionSnapshot } from '../../src/state/session.svelte';
import { clear, click, enter, find, render, settled, text, there } from '../dom';
import { info, model, prediction, subscribed } from '../service';

let session: Session;
let baseline: Baseline;
/** Requests that were sent. */
let sent: unknown[];
/** Error of the next requests, or null. */
let failure: string | null;
let savedBaselines: number;

const respond = <T>(value: T): Promise<T> =>
  failure ? Promise.reject(new Error(failure)) : Promise.resolve(value);

const sessionApi: SessionApi = {
  open: () => respond('b'),
  close: (id) => respond(void sent.push(['close', id])),
  setModel: (id, model) => respond(void sent.push(['model', id, model])),
  baseline: () => respond({ ...baseline }),
  takeBaseline: (id, options) => {
    sent.push(['take', id, options]);
    if (!failure) baseline = { ...baseline, wanted: options.seconds ?? 60, taken: 0 };
    return respond({ ...baseline, person: options.person ?? baseline.person });
  },
  cancelBaseline: (id) => {
    sent.push(['cancel', id]);
    if (!failure) baseline = { ...baseline, wanted: 0, taken: 0 };
    return respond({ ...baseline });
  },
  useBaseline: (id, person) => {
    sent.push(['use', id, person]);
    return respond({ ...baseline, wanted: 0, seconds: 60 });
  },
};

const facts = { error: null, outputs: {}, montage: [], scores: {}, notice: null };
const catalogApi = {
  models: () =>
    Promise.resolve(
      ['demo', 'other'].map((name) => ({
        ...{ ...facts, name, baseline: 0, trained_on: '', licence: '' },
      })),
    ),
  people: () =>
    Promise.resolve([
      {
        ...{ person: 'P01', notes: null, recordings: [], damaged: null },
        baselines: Array.from({ length: savedBaselines }, () => ({
          ...{ montage: [], seconds: 60, taken: '' },
        })),
      },
    ]),
} as unknown as CatalogApi;

async function published(): Promise<void> {
  session.publish();
  await settled();
}

beforeEach(() => {
  session = new Session('a', 'simulate://');
  session.setSubscribed(subscribed('a', 'e1') as Subscribed);
  session.publish();
  [sent, failure, savedBaselines] = [[], null, 0];
  baseline = { wanted: 0, taken: 0, seconds: 0, usual: 60, person: 'P01' };
});

afterEach(() => localStorage.clear());

describe('SessionControls', () => {
  beforeEach(async () => {
    render(SessionControls, { session, catalogApi, sessionApi });
    await settled();
  });

  it('closes a session after a confirmation', async () => {
    await click('close-session');
    expect(sent).toEqual([]);
    await click('confirm-close');
    expect(sent).toEqual([['close', 'a']]);
  });

  it('changes the model, or shows the error', async () => {
    find('change-model').closest('details')!.open = true;
    find('change-model').closest('details')!.dispatchEvent(new Event('toggle'));
    await settled();
    expect(find<HTMLButtonElement>('set-model').disabled).toBe(true);
    enter('model', 'other', 'change');
    failure = 'the session is recorded';
    await click('set-model');
    expect(text('control-problem')).toBe('The session is recorded.');
    failure = null;
    await click('set-model');
    expect(sent.at(-1)).toEqual(['model', 'a', 'other']);
    expect(there('control-problem')).toBe(false);
  });
});

describe('SessionTabs', () => {
  it('links to each session by the hash and marks the one in focus', () => {
    const [other, show] = [new Session('b c', ''), vi.fn<() => void>()];
    render(SessionTabs, { sessions: [session, other], focus: other, lsl: null, show });
    const links = [...document.querySelectorAll('a')];
    expect(links.map((link) => link.getAttribute('href'))).toEqual(['#a', '#b%20c']);
    expect(links.map((link) => link.getAttribute('aria-current'))).toEqual([null, 'true']);
    links[1]?.click(); // works without a change of the hash too
    expect(show).toHaveBeenCalledOnce();
  });
});

describe('Notices', () => {
  const snapshot = (change: Partial<SessionSnapshot>): SessionSnapshot => ({
    ...session.snapshot,
    ...change,
  });

  it.each([
    [{ info: { ...info, simulated: true } }, 'This signal is simulated.'],
    [{ info: { ...info, simulated: true, notices: ['No real brain.'] } }, 'No real brain.'],
    [{ model: { ...model, notice: 'It means nothing.' } }, 'It means nothing.'],
  ])('warn of a demo', (change, warning) => {
    render(Notices, { snapshot: snapshot(change) });
    expect(text('notice')).toContain(warning);
  });

  it('show the notice of a model that is no demo', () => {
    render(Notices, {
      snapshot: snapshot({ model: { ...model, name: 'own', notice: '0.80 (chance 0.50).' } }),
    });
    expect(text('notice')).toBe('▲ Note 0.80 (chance 0.50).');
  });

  it('show the notices of a source, without a warning', () => {
    const notices = ['Four channels of eight.'];
    render(Notices, { snapshot: snapshot({ info: { ...info, notices } }) });
    expect(there('notice')).toBe(false);
    expect(text('source-notices')).toBe('Four channels of eight.');
  });
});

describe('Baseline', () => {
  async function show(mayControl = true): Promise<void> {
    render(BaselinePanel, { session, catalogApi, sessionApi, mayControl });
    await settled();
  }

  const predict = (seq: number, reason: string, status: 'warming_up' | 'poor_signal'): void =>
    session.addPrediction({ ...prediction('a', seq, seq, null), status, reason });

  it('is hidden if the model needs none', async () => {
    baseline.usual = 0;
    await show();
    expect(there('baseline')).toBe(false);
  });

  it('counts down during good signal, and waits during poor signal', async () => {
    await show();
    expect(text('take-baseline')).toBe('Take a 60 s baseline');
    await click('take-baseline');
    expect(sent).toEqual([['take', 'a', {}]]);
    expect(text('baseline-left')).toBe('60 s left');
    predict(0, 'baseline 34 of 60 s', 'warming_up');
    await published();
    expect(text('baseline-left')).toBe('26 s left');
    expect(document.querySelector('progress')!.value).toBe(34);
    predict(1, 'AF7: flat', 'poor_signal');
    await published();
    expect(text('baseline-left')).toBe('26 s left');
    expect(text('baseline')).toContain('Poor signal now: AF7: flat.');
    expect(text('take-baseline')).toBe('Restart');
  });

  it('can be cancelled if there is a previous one', async () => {
    await show();
    await click('take-baseline');
    expect(there('cancel-baseline')).toBe(false);
    baseline = { ...baseline, seconds: 60 };
    await click('take-baseline');
    await click('cancel-baseline');
    expect(sent.at(-1)).toEqual(['cancel', 'a']);
    expect(text('baseline-used')).toContain('Using a 60 s baseline of P01.');
  });

  it('shows the last event', async () => {
    baseline.wanted = 60;
    await show();
    baseline = { ...baseline, wanted: 0, seconds: 60 };
    session.addLink({
      ...{ type: 'link', session: 'a', seq: 0, timestamp: 0, first: 0, lost: null },
      ...{ event: 'baseline_taken', detail: '60 s baseline taken and saved' },
    });
    await published();
    expect(text('baseline-used')).toContain('Using a 60 s baseline of P01.');
    expect(text('baseline-event')).toBe('60 s baseline taken and saved.');
  });

  it('asks for a person if the session has none', async () => {
    baseline.person = null;
    await show();
    expect(text('baseline-person')).toContain('not saved');
    enter('person', 'P02', 'input');
    await click('take-baseline');
    expect(sent).toEqual([['take', 'a', { person: 'P02' }]]);
    expect(text('baseline-person')).toBe('Baselines are saved for P02.');
  });

  it('can be replaced with the saved one', async () => {
    [baseline.wanted, savedBaselines] = [60, 1];
    await show();
    await click('use-baseline');
    expect(sent).toEqual([['use', 'a', 'P01']]);
    expect(there('baseline-left')).toBe(false);
  });

  it('shows errors, and no buttons without permission to control', async () => {
    await show();
    failure = 'the session has ended';
    await click('take-baseline');
    expect(text('baseline-problem')).toBe('The session has ended.');
    await clear();
    failure = null;
    await show(false);
    expect(there('baseline')).toBe(true);
    expect(there('take-baseline')).toBe(false);
  });
});

describe('Markers', () => {
  const mark = (label: string): Promise<void> => respond(void sent.push(label));
  const press = (key: string): void =>
    void document.body.dispatchEvent(
      new KeyboardEvent('keydown', { key, code: `Digit${key}`, bubbles: true }),
    );

  it('are set by button and by key, with the user’s labels', async () => {
    localStorage.setItem('mimamba.labels', '["rest", ""]');
    render(Markers, { session, mark });
    expect(text('mark-1')).toBe('1 rest');
    expect(there('mark-2')).toBe(false);
    for (const key of ['1', '2', '3']) press(key);
    await click('mark-1');
    expect(sent).toEqual(['rest', 'Mark 3', 'rest']);
  });

  it('have labels that can be edited and are saved', async () => {
    render(Markers, { session, mark });
    await click('edit-labels');
    enter('label-1', 'music', 'input');
    await click('edit-labels');
    expect(text('mark-1')).toBe('1 music');
    expect(localStorage.getItem('mimamba.labels')).toContain('music');
  });

  it('are listed, newest first, with errors', async () => {
    failure = 'the session has ended';
    render(Markers, { session, mark });
    for (const seq of [0, 1]) {
      const marker = { type: 'marker', session: 'a', seq, timestamp: 1, index: 256 * 65 * seq };
      session.addMarker({ ...marker, label: `m${seq}`, source: 'api' } as MarkerMessage);
    }
    press('1');
    await published();
    flushSync();
    expect(text('recent-markers')).toBe('1:05 m1 (by hand)0:00 m0 (by hand)');
    expect(text('marker-problem')).toBe('The session has ended.');
  });
});
