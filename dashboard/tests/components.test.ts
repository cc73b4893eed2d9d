// @vitest-environment happy-dom
import { type Component, flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import Contact from '../src/components/Contact.svelte';
import LinkPanel from '../src/components/LinkPanel.svelte';
import Login from '../src/components/Login.svelte';
import Masthead from '../src/components/Masthead.svelte';
import Notice from '../src/components/Notice.svelte';
import Output from '../src/components/Output.svelte';
import Plane from '../src/components/Plane.svelte';
import SessionTabs from '../src/components/SessionTabs.svelte';
import type { Subscribed } from '../src/protocol';
import type { Verdict } from '../src/verdict';
import { Session, type View } from '../src/session.svelte';
import { info, model, prediction, quality, subscribed } from './service';

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
    render(LinkPanel, { view: lost, lsl: 112, age: 12 });
    expect(text('link-state')).toBe('Link lost for 12 s');
    expect(text('gaps')).toBe('2 gaps, 70 samples lost');
    expect(text('age')).toBe('old: 12 s');
    expect(text('latest-index')).toBe('4711');
    expect(text('missed')).toBe('1 entry: the page was too slow');
    expect(text('link')).toContain('Is the headset on?');
  });

  it('claims nothing before the first sample', () => {
    render(LinkPanel, { view: view({}), lsl: null, age: null });
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
    const other = new Session('b c', '');
    render(SessionTabs, { sessions: [session, other], focus: other, lsl: null });
    const links = [...document.querySelectorAll('a')];
    expect(links.map((link) => link.getAttribute('href'))).toEqual(['#a', '#b%20c']);
    expect(links.map((link) => link.getAttribute('aria-current'))).toEqual([null, 'true']);
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
