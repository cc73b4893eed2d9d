// @vitest-environment happy-dom
import { flushSync } from 'svelte';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type {
  CalibrationMessage,
  CalibrationProgress,
  HeadCard,
  QualityMessage,
  RatingMessage,
  Subscribed,
} from 'mimamba-client';
import Calibrate from '../../src/components/calibration/Calibrate.svelte';
import FeelNow from '../../src/components/calibration/FeelNow.svelte';
import type {
  Agreement,
  Calibration,
  CalibrationApi,
  ListedCalibration,
} from '../../src/requests/calibration';
import type { CatalogApi } from '../../src/requests/catalog';
import { Session } from '../../src/state/session.svelte';
import { calibration, head, progress, verdict } from '../calibration/examples';
import { clear, click, enter, find, render, settled, text, there } from '../dom';
import { info, quality, subscribed } from '../service';

let session: Session;
let current: Calibration | null;
let listed: ListedCalibration[];
let heads: HeadCard[];
let agreement: Agreement | null;
/** Requests that were sent. */
let sent: unknown[];
/** Error of the next requests, or null. */
let failure: string | null;
let seq: number;

const respond = <T>(value: T): Promise<T> =>
  failure ? Promise.reject(new Error(failure)) : Promise.resolve(value);

const calibrationApi: CalibrationApi = {
  read: () => Promise.resolve(current),
  begin: (_, request) => {
    sent.push(['begin', request]);
    if (!failure) current = calibration({ progress: progress({ phase: 'rest', block: 0 }) });
    return respond(current!);
  },
  rate: (_, rating, answer) => {
    sent.push(['rate', rating, answer]);
    return respond(current!);
  },
  finish: () => respond((sent.push(['finish']), current!)),
  stop: () => {
    sent.push(['stop']);
    current = { ...current!, progress: progress({ phase: 'stopped' }) };
    return respond(current);
  },
  list: () => Promise.resolve(listed),
  heads: () => Promise.resolve(heads),
  deleteHead: (person, id) => {
    sent.push(['delete', person, id]);
    if (!failure) heads = heads.filter((each) => each.id !== id);
    return respond(undefined);
  },
  useHead: (_, used) => respond(void sent.push(['use', used?.id ?? null])),
  feel: (_, rating) => respond(void sent.push(['feel', rating])),
  ratings: () => Promise.resolve({ ratings: [], agreement: { valence: agreement, arousal: null } }),
};

const catalogApi = {
  people: () =>
    Promise.resolve([{ person: 'P01', notes: null, recordings: [], damaged: null, baselines: [] }]),
} as unknown as CatalogApi;

const props = () => ({
  ...{ session, catalogApi, calibrationApi, mayControl: true, connected: true },
  ...{ age: 0.1, time: performance.now() / 1000, close: () => void sent.push('close') },
});

async function show(change = {}): Promise<void> {
  render(Calibrate, { ...props(), ...change });
  await settled();
  await settled();
}

async function publish(): Promise<void> {
  session.publish();
  await settled();
  await settled();
}

/** Send the state of the calibration, as the service does. */
async function step(change: Partial<CalibrationProgress>): Promise<void> {
  const message = {
    type: 'calibration',
    session: 'a',
    seq: seq++,
    index: 0,
    timestamp: 0,
  } as const;
  const sentStep: CalibrationMessage = { ...message, id: 'c1', progress: progress(change) };
  session.addCalibration(sentStep, performance.now() / 1000);
  await publish();
}

async function goodElectrodes(): Promise<void> {
  const channels = Object.fromEntries(
    info.ch_names.map((name) => [name, { score: 0.9, reason: null }]),
  );
  for (let n = 0; n <= 10; n++) {
    session.addQuality(quality('a', n, n * info.sfreq, channels) as QualityMessage);
    await publish();
  }
}

beforeEach(() => {
  session = new Session('a', 'simulate://');
  session.setSubscribed(subscribed('a', 'e1') as Subscribed);
  session.publish();
  [current, listed, heads, agreement] = [null, [], [], null];
  [sent, failure, seq] = [[], null, 0];
});

describe('the choice', () => {
  it('begins a calibration once the electrodes are good', async () => {
    await show();
    await click('to-electrodes');
    expect(text('choice-problem')).toBe('Choose a person first.');
    enter('person', 'P01');
    await click('to-electrodes');
    expect(find<HTMLButtonElement>('begin').disabled).toBe(true);
    await goodElectrodes();
    await click('begin');
    expect(sent).toEqual([
      [
        'begin',
        {
          ...{ person: 'P01', contrast: 'calm-strained', resume: false },
          ...{ pairs: 6, seconds: 30, rest: 60, cue: 6, pause: 6 },
        },
      ],
    ]);
    expect(find('stage').dataset['phase']).toBe('rest');
  });

  it('shows the service’s error, and lets one try again', async () => {
    await show();
    enter('person', 'P01');
    await click('to-electrodes');
    await goodElectrodes();
    failure = 'a calibration runs in this session already';
    await click('begin');
    expect(text('begin-problem')).toBe('A calibration runs in this session already.');
  });

  it('takes two names of one’s own, and other lengths', async () => {
    await show();
    enter('person', 'P01');
    find<HTMLInputElement>('contrast-own').click();
    await settled();
    await click('to-electrodes');
    expect(text('choice-problem')).toBe('Name the first state.');
    enter('state-first', 'reading');
    enter('state-second', 'bored');
    enter('plan-pairs', '40');
    await click('to-electrodes');
    expect(text('choice-problem')).toContain('from 4 to 12');
    enter('plan-pairs', '8');
    await click('to-electrodes');
    await goodElectrodes();
    await click('begin');
    expect(sent[0]).toMatchObject([
      'begin',
      { contrast: 'own', kinds: ['reading', 'bored'], pairs: 8 },
    ]);
  });

  it('goes on with the unfinished one of today', async () => {
    listed = [
      {
        ...{ id: 'c0', contrast: 'calm-strained', kinds: ['calm', 'strained'], phase: 'stopped' },
        ...{ day: '2026-11-29', block: 7, of: 12, resumable: true },
      } as ListedCalibration,
    ];
    await show();
    enter('person', 'P01');
    await settled();
    await settled();
    expect(text('resumable')).toContain('block 7 of 12');
    await click('go-on');
    await goodElectrodes();
    await click('begin');
    expect(sent[0]).toEqual(['begin', { person: 'P01', contrast: 'calm-strained', resume: true }]);
  });

  it('is not offered with a token that only views', async () => {
    await show({ mayControl: false });
    expect(there('view-only')).toBe(true);
    expect(there('to-electrodes')).toBe(false);
  });
});

describe('earlier calibrations', () => {
  beforeEach(async () => {
    heads = [head({ confirmed: false }), head({ id: 'h2', served: 'no', usable: false })];
    await show();
    enter('person', 'P01');
    await settled();
    await settled();
  });

  it('are used, or checked on another day', async () => {
    expect(text('head-h1')).toContain('not confirmed today');
    expect(there('use-h2')).toBe(false);
    await click('use-h1');
    expect(sent).toEqual([['use', 'h1']]);
    await click('check-h1');
    await goodElectrodes();
    await click('begin');
    expect(sent[1]).toEqual(['begin', { person: 'P01', check: 'h1' }]);
  });

  it('are deleted after a question', async () => {
    await click('delete-h2');
    expect(sent).toEqual([]);
    await click('confirm-delete-h2');
    await settled();
    expect(sent).toEqual([['delete', 'P01', 'h2']]);
    expect(there('head-h2')).toBe(false);
    failure = 'a session uses it';
    await click('delete-h1');
    await click('confirm-delete-h1');
    expect(text('heads-problem')).toBe('A session uses it.');
  });
});

describe('the blocks', () => {
  beforeEach(async () => {
    current = calibration();
    await show();
  });

  it('show what to do, and the number to count from', async () => {
    await step({ phase: 'cue', block: 2, kind: 'strained', number: 783, step: 7 });
    expect(text('place')).toBe('Block 2 of 12');
    expect(text('count')).toBe('783 take away 7, again and again');
    await step({ phase: 'block', block: 2, kind: 'strained', number: 783, step: 7 });
    expect(there('count')).toBe(false);
    expect(there('cross')).toBe(true);
    expect(there('breath')).toBe(false);
    await step({ phase: 'block', block: 3, kind: 'calm' });
    expect(there('breath')).toBe(true);
  });

  it('never show the order ahead', async () => {
    for (const phase of ['rest', 'pause', 'judging'] as const) {
      await step({ phase, kind: null });
      expect(find('stage').textContent).not.toMatch(/calm|strained/i);
    }
  });

  it('are rated with both sliders', async () => {
    await step({ phase: 'rating', block: 2, kind: 'strained', left: null, total: null });
    await click('save-rating');
    expect(text('rating-problem')).toContain('Set both sliders first');
    enter('rating-valence', '20', 'input');
    find('rating-arousal').dispatchEvent(new Event('pointerdown', { bubbles: true }));
    flushSync();
    expect(there('rating-problem')).toBe(false);
    expect(find('rating-valence').getAttribute('aria-valuetext')).toContain('rather unpleasant');
    enter('answer', '713', 'input');
    failure = 'no block waits for a rating';
    await click('save-rating');
    expect(text('rating-problem')).toBe('No block waits for a rating.');
    failure = null;
    await click('save-rating');
    expect(sent.at(-1)).toEqual(['rate', { valence: 20, arousal: 50 }, 713]);
    expect(there('rating')).toBe(false);
    await step({ phase: 'pause', block: 2 });
    expect(find('stage').dataset['phase']).toBe('pause');
  });

  it('say why one is done again, and why there are more', async () => {
    await step({ phase: 'cue', block: 2, kind: 'calm', repeat: 'signal', extra: 1 });
    expect(text('repeat')).toContain('done again');
    expect(text('extra')).toContain('One pair of blocks was added');
  });

  it('say what stands in the way', async () => {
    await step({ phase: 'block', status: 'poor_signal', reason: 'AF7: no contact' });
    expect(text('poor')).toBe('AF7: no contact.');
    session.addLink({
      ...{ type: 'link', session: 'a', seq: 0, timestamp: 0, event: 'lost', detail: '' },
      ...{ first: null, lost: null },
    });
    await publish();
    expect(text('trouble')).toContain('connection to the headset is lost');
  });

  it('can be stopped, after a question', async () => {
    await step({ phase: 'pause', block: 2 });
    await click('stop');
    expect(sent).toEqual([]);
    expect(there('finish')).toBe(false);
    await click('confirm-stop');
    expect(sent).toEqual([['stop']]);
    await step({ phase: 'stopped', block: 2 });
    expect(text('stopped')).toContain('What is done is kept');
  });

  it('can be judged early, once there are enough', async () => {
    const done = { valence: 50, arousal: 50, good: 1 };
    const blocks = ['calm', 'strained'].flatMap((kind) =>
      Array.from({ length: 4 }, () => ({ kind, ...done })),
    );
    current = { ...current!, blocks }; // another answer of the service is another object
    await step({ phase: 'pause', block: 8 });
    await click('stop');
    await click('finish');
    expect(sent).toEqual([['finish']]);
  });
});

describe('the end', () => {
  it.each([
    ['reliable', 'yes', 'Reliable today'],
    ['no difference', 'no', 'No reliable difference'],
    ['muscle', 'no', 'Muscle'],
    ['drift', 'this session', 'Drift'],
    ['too few', 'no', 'Too little to judge by'],
    ['model fits', 'no', 'The shipped model fits you'],
  ] as const)('is the verdict %s, served: %s', async (name, served, title) => {
    current = calibration({
      progress: progress({ phase: 'done' }),
      verdict: verdict({ name, served }),
      plan: { text: 'calm strained' },
    });
    await show();
    expect(find('verdict').dataset['served']).toBe(served);
    expect(find('verdict').querySelector('h3')!.textContent).toContain(title);
    expect(document.body.textContent).toContain('76 % (62 to 88)');
    await click('anew');
    expect(there('to-electrodes')).toBe(true);
  });

  it('follows the stream', async () => {
    current = calibration();
    await show();
    current = calibration({ progress: progress({ phase: 'done' }), verdict: verdict() });
    await step({ phase: 'done', block: 12 });
    expect(there('verdict')).toBe(true);
  });

  it.each([
    [true, 'Confirmed for today'],
    [false, 'Not confirmed today'],
  ])('of check blocks: %s', async (confirmed, title) => {
    const check = { right: 6, of: 6, confirmed };
    current = calibration({ purpose: 'check', check, progress: progress({ phase: 'done' }) });
    await show();
    expect(text('check-result')).toContain(title);
  });
});

describe('How do I feel now', () => {
  const rating = (): RatingMessage => ({
    ...{ type: 'rating', session: 'a', seq: seq++, index: 0, timestamp: 0 },
    ...{ valence: 70, arousal: 40, personal: null, outputs: null },
  });
  const press = async (key: string, target: EventTarget = document.body): Promise<void> => {
    target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    await settled();
  };

  beforeEach(() => render(FeelNow, { session, calibrationApi, mayControl: true }));

  it('is asked by a button or a key, and sent', async () => {
    await press('f');
    enter('rating-valence', '70', 'input');
    enter('rating-arousal', '40', 'input');
    await click('save-rating');
    expect(sent).toEqual([['feel', { valence: 70, arousal: 40 }]]);
    expect(there('rating')).toBe(false);
    await click('feel-now');
    expect(there('rating')).toBe(true);
    await press('Escape');
    expect(there('rating')).toBe(false);
  });

  it('is asked at random times, if that is wanted', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      vi.advanceTimersByTime(20 * 60_000);
      flushSync();
      expect(there('rating')).toBe(false);
      find<HTMLInputElement>('feel-random').click();
      flushSync();
      vi.advanceTimersByTime(6 * 60_000 - 1);
      flushSync();
      expect(there('rating')).toBe(false);
      vi.advanceTimersByTime(6 * 60_000 + 1);
      flushSync();
      expect(there('rating')).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });

  it('is not asked while someone types', async () => {
    const field = document.body.appendChild(document.createElement('input'));
    await press('f', field);
    expect(there('rating')).toBe(false);
  });

  it('shows the agreement from eight ratings on', async () => {
    agreement = {
      ...{ n: 8, spearman: 0.4, spearman_interval: [-0.1, 0.7], ccc: 0.3 },
      ...{ ccc_interval: [0, 0.6], source: 'model' },
    };
    for (let n = 0; n < 7; n++) session.addRating(rating());
    await publish();
    expect(text('feel-last')).toContain('7 ratings so far');
    expect(there('agreement-valence')).toBe(false);
    session.addRating(rating());
    await publish();
    expect(text('agreement-valence')).toContain('rank correlation 0.40');
  });

  it('is not asked with a token that only views', async () => {
    await clear();
    render(FeelNow, { session, calibrationApi, mayControl: false });
    await press('f');
    expect(there('rating')).toBe(false);
    expect(there('feel-now')).toBe(false);
  });
});
