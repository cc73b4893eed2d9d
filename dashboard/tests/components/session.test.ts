// @vitest-environment happy-dom
import { flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import BaselinePanel from '../../src/components/session/Baseline.svelte';
import SessionControls from '../../src/components/session/SessionControls.svelte';
import type { Offers } from '../../src/requests/catalog';
import type { Subscribed } from '../../src/connection/protocol';
import { Session } from '../../src/state/session.svelte';
import type { Baseline, Steering } from '../../src/requests/sessions';
import { prediction, subscribed } from '../service';

let shown: Record<string, unknown> | null = null;
let session: Session;
let baseline: Baseline;
let asked: unknown[];
let refusal: string | null;
let rests: number;

const answer = <T>(value: T): Promise<T> =>
  refusal ? Promise.reject(new Error(refusal)) : Promise.resolve(value);

const steering: Steering = {
  open: () => answer('b'),
  close: (id) => answer(void asked.push(['close', id])),
  changeModel: (id, model) => answer(void asked.push(['model', id, model])),
  baseline: () => answer({ ...baseline }),
  takeBaseline: (id, wanted) => {
    asked.push(['take', id, wanted]);
    if (!refusal) baseline = { ...baseline, wanted: wanted.seconds ?? 60, taken: 0 };
    return answer({ ...baseline, person: wanted.person ?? baseline.person });
  },
  breakOffBaseline: (id) => {
    asked.push(['break off', id]);
    if (!refusal) baseline = { ...baseline, wanted: 0, taken: 0 };
    return answer({ ...baseline });
  },
  useBaseline: (id, person) => {
    asked.push(['use', id, person]);
    return answer({ ...baseline, wanted: 0, seconds: 60 });
  },
};

const facts = { error: null, outputs: {}, montage: [], scores: {}, notice: null };
const offers = {
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
        baselines: Array.from({ length: rests }, () => ({ montage: [], seconds: 60, taken: '' })),
      },
    ]),
} as unknown as Offers;

const find = <T extends HTMLElement>(testid: string): T | null =>
  document.querySelector<T>(`[data-testid="${testid}"]`);
const text = (testid: string): string | undefined =>
  find(testid)?.textContent.replace(/\s+/g, ' ').trim();

async function settled(): Promise<void> {
  session.publish();
  flushSync();
  await new Promise((resolve) => setTimeout(resolve, 0));
  flushSync();
}

async function click(testid: string): Promise<void> {
  find(testid)!.click();
  await settled();
}

beforeEach(() => {
  session = new Session('a', 'simulate://');
  session.subscribed(subscribed('a', 'e1') as Subscribed);
  session.publish();
  [asked, refusal, rests] = [[], null, 0];
  baseline = { wanted: 0, taken: 0, seconds: 0, usual: 60, person: 'P01' };
});

afterEach(async () => {
  if (shown) await unmount(shown);
  shown = null;
  document.body.replaceChildren();
});

describe('SessionControls', () => {
  beforeEach(async () => {
    const props = { session, offers, steering };
    shown = mount(SessionControls, { target: document.body, props });
    await settled();
  });

  it('ends a session once that is confirmed', async () => {
    await click('close-session');
    expect(asked).toEqual([]);
    await click('confirm-close');
    expect(asked).toEqual([['close', 'a']]);
  });

  it('lets another model speak, or says why not', async () => {
    find<HTMLDetailsElement>('change-model')!.closest('details')!.open = true;
    find('change-model')!.closest('details')!.dispatchEvent(new Event('toggle'));
    await settled();
    expect(find<HTMLButtonElement>('set-model')!.disabled).toBe(true);
    const select = find<HTMLSelectElement>('model')!;
    select.value = 'other';
    select.dispatchEvent(new Event('change', { bubbles: true }));
    flushSync();
    refusal = 'the session is recorded';
    await click('set-model');
    expect(text('control-problem')).toBe('The session is recorded.');
    refusal = null;
    await click('set-model');
    expect(asked.at(-1)).toEqual(['model', 'a', 'other']);
    expect(find('control-problem')).toBeNull();
  });
});

describe('Baseline', () => {
  async function render(mayControl = true): Promise<void> {
    const props = { session, offers, steering, mayControl };
    shown = mount(BaselinePanel, { target: document.body, props });
    await settled();
  }

  const predict = (seq: number, reason: string, status: 'warming_up' | 'poor_signal') =>
    session.predict({ ...prediction('a', seq, seq, null), status, reason });

  it('is not there where the model uses none', async () => {
    baseline.usual = 0;
    await render();
    expect(find('baseline')).toBeNull();
  });

  it('counts down while good signal comes, and holds while it does not', async () => {
    await render();
    expect(text('take-baseline')).toBe('Take 60 s of rest');
    await click('take-baseline');
    expect(asked).toEqual([['take', 'a', {}]]);
    expect(text('baseline-left')).toBe('60 s left');
    predict(0, 'baseline 34 of 60 s', 'warming_up');
    await settled();
    expect(text('baseline-left')).toBe('26 s left');
    expect(document.querySelector('progress')!.value).toBe(34);
    predict(1, 'AF7: flat', 'poor_signal');
    await settled();
    expect(text('baseline-left')).toBe('26 s left');
    expect(text('baseline')).toContain('it is not good now: AF7: flat.');
    expect(text('take-baseline')).toBe('Begin anew');
  });

  it('breaks off what is taken where there is one before to go on by', async () => {
    await render();
    await click('take-baseline');
    expect(find('break-off-baseline')).toBeNull();
    baseline = { ...baseline, seconds: 60 };
    await click('take-baseline');
    await click('break-off-baseline');
    expect(asked.at(-1)).toEqual(['break off', 'a']);
    expect(text('baseline-used')).toContain('60 s of P01’s rest');
  });

  it('says whose rest was kept, and how', async () => {
    baseline.wanted = 60;
    await render();
    baseline = { ...baseline, wanted: 0, seconds: 60 };
    session.link({
      ...{ type: 'link', session: 'a', seq: 0, timestamp: 0, first: 0, lost: null },
      ...{ event: 'baseline_taken', detail: '60 s of rest are taken, and kept' },
    });
    await settled();
    expect(text('baseline-used')).toContain('60 s of P01’s rest');
    expect(text('baseline-said')).toBe('60 s of rest are taken, and kept.');
  });

  it('asks whose rest it is where it is nobody’s', async () => {
    baseline.person = null;
    await render();
    expect(text('baseline-person')).toContain('nobody’s');
    const field = find<HTMLInputElement>('person')!;
    field.value = 'P02';
    field.dispatchEvent(new Event('input', { bubbles: true }));
    flushSync();
    await click('take-baseline');
    expect(asked).toEqual([['take', 'a', { person: 'P02' }]]);
    expect(text('baseline-person')).toBe('It is kept for P02.');
  });

  it('goes back to what is kept', async () => {
    [baseline.wanted, rests] = [60, 1];
    await render();
    await click('use-baseline');
    expect(asked).toEqual([['use', 'a', 'P01']]);
    expect(find('baseline-left')).toBeNull();
  });

  it('says what is refused, and offers nothing to whom may only look', async () => {
    await render();
    refusal = 'the session has ended';
    await click('take-baseline');
    expect(text('baseline-problem')).toBe('The session has ended.');
    await unmount(shown!);
    refusal = null;
    await render(false);
    expect(find('baseline')).not.toBeNull();
    expect(find('take-baseline')).toBeNull();
  });
});
