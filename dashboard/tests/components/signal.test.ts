// @vitest-environment happy-dom
import { type Component, flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import BandPowers from '../../src/components/signal/BandPower.svelte';
import Contact from '../../src/components/signal/SignalQuality.svelte';
import Head from '../../src/components/signal/ElectrodeMap.svelte';
import LinkPanel from '../../src/components/signal/LinkPanel.svelte';
import Login from '../../src/components/page/Login.svelte';
import Masthead from '../../src/components/page/Header.svelte';
import Notice from '../../src/components/session/Notices.svelte';
import Output from '../../src/components/predictions/Output.svelte';
import Plane from '../../src/components/predictions/ValenceArousalPlane.svelte';
import Rewind from '../../src/components/signal/Scrollback.svelte';
import SessionTabs from '../../src/components/session/SessionTabs.svelte';
import Stale from '../../src/components/signal/StaleWarning.svelte';
import type { Bands, Subscribed } from '../../src/connection/protocol';
import type { Verdict } from '../../src/state/staleness';
import { Session, type View } from '../../src/state/session.svelte';
import { info, model, prediction, quality, subscribed } from '../service';

let shown: Record<string, unknown> | null = null;
let session: Session;

function render<Props extends Record<string, unknown>>(
  component: Component<Props>,
  props: Props,
): void {
  shown = mount(component, { target: document.body, props });
  flushSync();
}

const text = (testid: string): string | undefined =>
  document.querySelector(`[data-testid="${testid}"]`)?.textContent.replace(/\s+/g, ' ').trim();

const view = (change: Partial<View>): View => ({ ...session.view, ...change });

beforeEach(() => {
  session = new Session('a', '');
  session.subscribed(subscribed('a', 'e1') as Subscribed);
  session.publish();
});

afterEach(async () => {
  if (shown) await unmount(shown);
  shown = null;
  document.body.replaceChildren();
});

describe('Output', () => {
  const labels = ['low', 'high'];

  it('says each probability in words and as a bar', () => {
    render(Output, { output: 'valence', labels, probabilities: { low: 0.31, high: 0.69 } });
    expect(text('probability-valence-high')).toBe('69 %');
    expect(text('probability-valence-low')).toBe('31 %');
    expect(document.querySelector('h3')?.textContent).toBe('Valence: high');
    const widths = [...document.querySelectorAll<HTMLElement>('.bar')].map(
      (bar) => bar.style.width,
    );
    expect(widths).toEqual(['31%', '69%']);
  });

  it('shows neither bar nor number where the model abstains', () => {
    render(Output, { output: 'valence', labels, probabilities: null });
    expect(text('probability-valence-high')).toBe('–');
    expect(document.querySelectorAll('.bar')).toHaveLength(0);
    expect(document.querySelector('h3')?.textContent).toBe('Valence');
  });
});

describe('Plane', () => {
  function say(seq: number, valence: number, arousal: number): void {
    const said = prediction('a', seq, seq * model.hop, valence);
    said.outputs!['arousal'] = { low: 1 - arousal, high: arousal };
    session.predict(said);
    session.publish();
  }
  const said: Verdict = { shown: true, outputs: {} };
  const silent: Verdict = { shown: false, title: 'Link lost', reason: '' };
  const circle = (): SVGElement | null => document.querySelector('[data-testid="plane-point"]');

  it('has a point, its spread, and both in words', () => {
    say(0, 0.5, 0.25);
    say(1, 0.7, 0.25);
    render(Plane, { session, verdict: said });
    expect(['cx', 'cy'].map((name) => Number(circle()?.getAttribute(name)))).toEqual([70, 75]);
    const words = 'Probability of high valence 70 % ± 10, of high arousal 25 % ± 0';
    expect(text('plane-words')).toBe(`${words}.`);
    const label = document.querySelector('[data-testid="plane"]')?.getAttribute('aria-label');
    expect(label?.replaceAll('\u00a0', ' ')).toBe(words);
  });

  it('has no point where nothing may be said, but says why', () => {
    say(0, 0.5, 0.25);
    render(Plane, { session, verdict: silent });
    expect(circle()).toBeNull();
    expect(document.querySelector('[data-testid="plane-spread"]')).toBeNull();
    expect(text('plane-why')).toBe('Link lost');
    expect(text('plane-words')).toBe('No point: Link lost.');
  });
});

describe('Notice', () => {
  it.each([
    [{ info: { ...info, simulated: true } }, 'This signal is simulated.'],
    [{ info: { ...info, simulated: true, notices: ['Nobody’s brain.'] } }, 'Nobody’s brain.'],
    [{ model: { ...model, notice: 'It means nothing.' } }, 'It means nothing.'],
  ])('warns of what is only a demonstration', (change, words) => {
    render(Notice, { view: view(change) });
    expect(text('notice')).toContain(words);
  });

  it('calls no demonstration what is none', () => {
    render(Notice, {
      view: view({ model: { ...model, name: 'own', notice: '0.80 (chance 0.50).' } }),
    });
    expect(text('notice')).toBe('▲ Note 0.80 (chance 0.50).');
  });

  it('is silent otherwise, but for what the source has to say', () => {
    render(Notice, { view: view({ info: { ...info, notices: ['Four channels of eight.'] } }) });
    expect(text('notice')).toBeUndefined();
    expect(text('source-notices')).toBe('Four channels of eight.');
  });
});

describe('LinkPanel', () => {
  it('tells a loss, its time, the gaps and the age', () => {
    const link = { state: 'lost', detail: 'Is the headset on?', since: 100 } as const;
    const lost = view({ link, gaps: 2, lostSamples: 70, latestIndex: 4711, missed: 1 });
    render(LinkPanel, { view: lost, lsl: 112, age: 12, latency: null });
    expect(text('link-state')).toBe('Link lost for 12 s');
    expect(text('gaps')).toBe('2 gaps, 70 samples lost');
    expect(text('age')).toBe('old: 12 s');
    expect(text('latest-index')).toBe('4711');
    expect(text('missed')).toBe('1 entry: the page was too slow');
    expect(text('link')).toContain('Is the headset on?');
  });

  it('tells the rate, and marks one that is off; and the delay of what is live', () => {
    render(LinkPanel, { view: view({ rate: 255.94 }), lsl: 0, age: 0.1, latency: 0.0345 });
    expect(text('rate')).toBe('255.9 of 256 Hz');
    expect(text('latency')).toBe('35 ms');
  });

  it.each<[Partial<View>, number, string]>([
    [{ rate: 200 }, 0.1, '200.0 of 256 Hz, off'],
    [{ rate: 256 }, 2.5, '– of 256 Hz'],
    [{ rate: 256, ended: true }, 0.1, '– of 256 Hz'],
  ])('does not call a rate good that is off, or old: %j', (change, age, words) => {
    render(LinkPanel, { view: view(change), lsl: 0, age, latency: null });
    expect(text('rate')).toBe(words);
    expect(text('latency')).toBe('–');
  });

  it('measures no delay of a recording', () => {
    const replayed = view({ info: { ...info, live: false } });
    render(LinkPanel, { view: replayed, lsl: 0, age: 0.1, latency: null });
    expect(text('latency')).toBeUndefined();
  });

  it('claims nothing before the first sample', () => {
    render(LinkPanel, { view: view({}), lsl: null, age: null, latency: null });
    expect(text('age')).toBe('no sample yet');
    expect(text('gaps')).toBe('none');
    expect(text('latest-index')).toBe('none');
  });
});

describe('Contact', () => {
  const told = quality('a', 0, 511, {
    TP9: { score: 0.97, reason: null },
    AF7: { score: 0.2, reason: 'mains hum' },
  });
  const bars = (): string[] =>
    [...document.querySelectorAll<HTMLElement>('.bar')].map((bar) => bar.style.width);

  it('says of each channel how good it is, and why not', () => {
    render(Contact, { view: view({ quality: told, latestIndex: 600 }), age: 0.1 });
    expect(text('contact-TP9')).toBe('97 %, good');
    expect(text('contact-AF7')).toBe('20 %, mains hum');
    expect(bars()).toEqual(['97%', '20%']);
    expect(text('contact-none')).toBeUndefined();
  });

  it.each([
    ['nothing is measured yet', { quality: null }, 0.1],
    ['the measurement is behind the signal', { latestIndex: 511 + info.sfreq + 1 }, 0.1],
    ['no sample came for long', {}, 2.5],
    ['no sample came at all', {}, null],
    ['the session has ended', { ended: true }, 0.1],
  ])('claims nothing where %s', (_, change, age) => {
    render(Contact, { view: view({ quality: told, latestIndex: 600, ...change }), age });
    expect(text('contact-TP9')).toBe('–');
    expect(bars()).toEqual([]);
  });
});

describe('BandPowers', () => {
  const bands: Bands = {
    type: 'bands',
    session: 'a',
    seq: 0,
    index: 511,
    timestamp: 2,
    channels: {
      TP9: { delta: 12.34, theta: 0.5, alpha: 250.4, beta: 1.005, gamma: 1e6 },
      AF7: { delta: null, theta: null, alpha: null, beta: null, gamma: null },
    },
  };
  const row = (name: string): (string | undefined)[] =>
    ['delta', 'theta', 'alpha', 'beta', 'gamma'].map((band) => text(`band-${name}-${band}`));

  it('says each power in three digits, and dashes where there is none', () => {
    render(BandPowers, { view: view({ bands, latestIndex: 600 }), age: 0.1 });
    expect(row('TP9')).toEqual(['12.3', '0.50', '250', '1.00', '1e+6']);
    expect(row('AF7')).toEqual(['–', '–', '–', '–', '–']);
    expect(document.querySelectorAll('.bar')).toHaveLength(5);
  });

  it('claims nothing of the past', () => {
    render(BandPowers, { view: view({ bands, latestIndex: 600 }), age: 3 });
    expect(row('TP9')).toEqual(['–', '–', '–', '–', '–']);
  });
});

describe('Head', () => {
  const channels = {
    TP9: { score: 0.97, reason: null },
    AF7: { score: 0.5, reason: 'mains hum' },
    Fp2: { score: 0, reason: 'no contact' },
  } as const;
  const montage = ['TP9', 'AF7', 'AF8'].map((electrode, i) => ({
    electrode,
    channel: ['TP9', 'AF7', 'Fp2'][i]!,
    distance_mm: 0,
  }));
  const electrode = (name: string): HTMLButtonElement =>
    document.querySelector<HTMLButtonElement>(`[data-testid="electrode-${name}"]`)!;
  const names = ['TP9', 'AF7', 'Fp2', 'Cz', 'AUX'];

  it('tells each electrode’s state by a mark and a number, and by name to a screen reader', () => {
    render(Head, { names, montage, channels });
    expect(names.slice(0, 4).map((name) => text(`electrode-${name}`))).toEqual([
      'TP9 ✓ 97 %',
      'AF7 ! 50 %',
      'Fp2 ✕ 0 %',
      'Cz ?',
    ]);
    expect(names.slice(0, 4).map((name) => electrode(name).getAttribute('aria-label'))).toEqual([
      'TP9: 97 %, good',
      'AF7: 50 %, mains hum',
      'Fp2, for AF8: 0 %, no contact',
      'Cz: not measured now; the model does not hear it',
    ]);
    expect(parseFloat(electrode('TP9').style.left)).toBeCloseTo(12.9, 1);
    expect(document.body.textContent).toContain('No place on the head is known for AUX.');
  });

  it.each([
    ['focus', 'blur'],
    ['pointerenter', 'pointerleave'],
  ])('shows the reason on %s, until %s', (begin, end) => {
    render(Head, { names, montage: null, channels });
    electrode('AF7').dispatchEvent(new Event(begin));
    flushSync();
    expect(text('electrode-words')).toBe('AF7: 50 %, mains hum');
    electrode('AF7').dispatchEvent(new Event(end));
    flushSync();
    expect(text('electrode-words')).toBe('Point at an electrode to read why.');
  });

  it('goes back to the electrode in focus when the pointer leaves another', () => {
    render(Head, { names, montage: null, channels });
    electrode('AF7').dispatchEvent(new Event('focus'));
    electrode('TP9').dispatchEvent(new Event('pointerenter'));
    flushSync();
    expect(text('electrode-words')).toBe('TP9: 97 %, good');
    electrode('TP9').dispatchEvent(new Event('pointerleave'));
    flushSync();
    expect(text('electrode-words')).toBe('AF7: 50 %, mains hum');
  });

  it('puts a channel without a place where it stands in', () => {
    const stands = [{ electrode: 'AF7', channel: 'AUX', distance_mm: 0 }];
    render(Head, { names: ['AUX'], montage: stands, channels: null });
    expect(electrode('AUX').dataset['state']).toBe('none');
    expect(document.body.textContent).not.toContain('No place');
  });
});

describe('Rewind', () => {
  const act = { pause: vi.fn(), resume: vi.fn(), move: vi.fn() };

  function slide(value: number): void {
    const slider = document.querySelector<HTMLInputElement>('[data-testid="trace-back"]')!;
    slider.value = String(value);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
  }

  it('holds what is live, and goes back', () => {
    render(Rewind, { live: true, behind: 0, room: 60, ...act });
    expect(text('trace-place')).toBe('Live');
    document.querySelector('button')!.click();
    expect(act.pause).toHaveBeenCalledOnce();
    slide(-12);
    expect(act.move).toHaveBeenCalledExactlyOnceWith(12);
  });

  it('says how far back it is, and returns', () => {
    render(Rewind, { live: false, behind: 72, room: 292, ...act });
    expect(text('trace-place')).toBe('Held, 1:12 back');
    document.querySelector('button')!.click();
    slide(0);
    expect(act.resume).toHaveBeenCalledTimes(2);
  });
});

describe('Stale', () => {
  it('warns of what is older than 2 s', () => {
    render(Stale, { view: view({}), age: 4.2 });
    expect(text('stale')).toContain('What is shown is 4.2 s old');
  });

  it.each<[string, Partial<View>, number | null]>([
    ['is current', {}, 1.9],
    ['has not come yet', {}, null],
    ['has ended', { ended: true }, 9],
    ['is paused', { link: { state: 'paused', detail: '', since: 0 } }, 9],
  ])('is silent where the signal %s', (_, change, age) => {
    render(Stale, { view: view(change), age });
    expect(text('stale')).toBeUndefined();
  });
});

describe('Login', () => {
  function enter(token: string): void {
    const field = document.querySelector<HTMLInputElement>('[data-testid="token"]')!;
    field.value = token;
    field.dispatchEvent(new Event('input', { bubbles: true }));
    document.querySelector('form')?.dispatchEvent(new SubmitEvent('submit', { cancelable: true }));
  }

  it('shows the token, and a refusal in the service’s words', async () => {
    const logIn = vi.fn(() => Promise.reject(new Error('wanted a token; found another')));
    render(Login, { why: 'the login has ended', logIn });
    expect(text('login-problem')).toBe('The login has ended.');
    enter(' a token ');
    await vi.waitFor(() => {
      flushSync();
      expect(text('login-problem')).toBe('Wanted a token; found another.');
    });
    expect(logIn).toHaveBeenCalledExactlyOnceWith('a token');
    expect(document.querySelector<HTMLInputElement>('[data-testid="token"]')?.value).toBe('');
  });

  it('reproaches nobody at first', () => {
    render(Login, { why: '', logIn: () => Promise.resolve() });
    expect(text('login-problem')).toBeUndefined();
  });
});

describe('SessionTabs', () => {
  it('links to each session by the hash and marks the one in focus', () => {
    const [other, show] = [new Session('b c', ''), vi.fn<() => void>()];
    render(SessionTabs, { sessions: [session, other], focus: other, lsl: null, show });
    const links = [...document.querySelectorAll('a')];
    expect(links.map((link) => link.getAttribute('href'))).toEqual(['#a', '#b%20c']);
    expect(links.map((link) => link.getAttribute('aria-current'))).toEqual([null, 'true']);
    links[1]?.click(); // also where the hash is that one's already
    expect(show).toHaveBeenCalledOnce();
  });
});

describe('Masthead', () => {
  it('counts down to the next try and says why', () => {
    const connection = { phase: 'waiting', until: 14.2, why: 'the service fell silent' } as const;
    render(Masthead, { connection, time: 12, logOut: null });
    expect(text('connection')).toBe('○ Reconnecting in 3 s: the service fell silent');
    expect(document.body.textContent).toContain('Not a medical device.');
  });

  it('ends a login where there is one', () => {
    const logOut = vi.fn();
    const connection = { phase: 'connected' } as const;
    render(Masthead, { connection, time: 0, logOut: () => void logOut() });
    document.querySelector<HTMLButtonElement>('[data-testid="log-out"]')?.click();
    expect(logOut).toHaveBeenCalledOnce();
  });
});
