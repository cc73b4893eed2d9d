// @vitest-environment happy-dom
import { flushSync } from 'svelte';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { BandsMessage, HeartMessage, Subscribed } from 'mimamba-client';
import BandPower from '../../src/components/signal/BandPower.svelte';
import ElectrodeMap from '../../src/components/signal/ElectrodeMap.svelte';
import LinkPanel from '../../src/components/signal/LinkPanel.svelte';
import Scrollback from '../../src/components/signal/Scrollback.svelte';
import SignalQuality from '../../src/components/signal/SignalQuality.svelte';
import StaleWarning from '../../src/components/signal/StaleWarning.svelte';
import { Session, type SessionSnapshot } from '../../src/state/session.svelte';
import { enter, find, render, text, there } from '../dom';
import { info, quality, subscribed } from '../service';

let session: Session;

const snapshot = (change: Partial<SessionSnapshot>): SessionSnapshot => ({
  ...session.snapshot,
  ...change,
});
const bars = (): string[] =>
  [...document.querySelectorAll<HTMLElement>('.bar')].map((bar) => bar.style.width);

const none: HeartMessage = {
  type: 'heart',
  session: 'a',
  seq: 0,
  index: 639,
  timestamp: 10,
  rate: null,
  confidence: 0.2,
  reason: null,
};

beforeEach(() => {
  session = new Session('a', '');
  session.setSubscribed(subscribed('a', 'e1') as Subscribed);
  session.publish();
});

describe('LinkPanel', () => {
  it('shows a loss, its duration, the gaps and the age', () => {
    const link = { state: 'lost', detail: 'Is the headset on?', since: 100 } as const;
    const lost = snapshot({ link, gaps: 2, lostSamples: 70, latestIndex: 4711, missed: 1 });
    render(LinkPanel, { snapshot: lost, lsl: 112, age: 12, latency: null });
    expect(text('link-state')).toBe('Lost for 12 s');
    expect(text('gaps')).toBe('2 gaps, 70 samples lost');
    expect(text('age')).toBe('old: 12 s');
    expect(text('latest-index')).toBe('4711');
    expect(text('missed')).toBe('1 message: the page was too slow');
    expect(text('link')).toContain('Is the headset on?');
  });

  it('shows the sampling rate and the latency', () => {
    render(LinkPanel, { snapshot: snapshot({ rate: 255.94 }), lsl: 0, age: 0.1, latency: 0.0345 });
    expect(text('rate')).toBe('255.9 of 256 Hz');
    expect(text('latency')).toBe('35 ms');
  });

  it.each<[Partial<SessionSnapshot>, number, string]>([
    [{ rate: 200 }, 0.1, '200.0 of 256 Hz, off'],
    [{ rate: 256 }, 2.5, '– of 256 Hz'],
    [{ rate: 256, ended: true }, 0.1, '– of 256 Hz'],
  ])('marks a rate that is off, and shows no old one: %j', (change, age, rate) => {
    render(LinkPanel, { snapshot: snapshot(change), lsl: 0, age, latency: null });
    expect(text('rate')).toBe(rate);
    expect(text('latency')).toBe('–');
  });

  it('shows no latency for a recording', () => {
    const replayed = snapshot({ info: { ...info, live: false } });
    render(LinkPanel, { snapshot: replayed, lsl: 0, age: 0.1, latency: null });
    expect(there('latency')).toBe(false);
  });

  it('shows neither a heart rate nor a battery of a headset without them', () => {
    render(LinkPanel, { snapshot: snapshot({}), lsl: 0, age: 0.1, latency: null });
    expect(there('heart')).toBe(false);
    expect(there('battery')).toBe(false);
  });

  it.each<[Partial<HeartMessage>, Partial<SessionSnapshot>, number, string]>([
    [{ rate: 68.4, confidence: 0.953 }, {}, 0.1, '68 per minute, 95 % sure'],
    [{ reason: 'no clear pulse' }, {}, 0.1, '–, no clear pulse'],
    [{ rate: 68.4 }, {}, 2.5, '–'],
    [{ rate: 68.4 }, { latestTimestamp: 14 }, 0.1, '–'],
    [{ rate: 68.4 }, { ended: true }, 0.1, '–'],
  ])('shows the heart rate while it is current: %j %j', (change, more, age, shown) => {
    const heart: HeartMessage = { ...none, ...change };
    render(LinkPanel, {
      snapshot: snapshot({ heart, battery: 84.4, latestTimestamp: 10.5, ...more }),
      lsl: 0,
      age,
      latency: null,
    });
    expect(text('heart')).toBe(shown);
    expect(text('battery')).toBe('84 %');
  });

  it('shows that there is no sample yet', () => {
    render(LinkPanel, { snapshot: snapshot({}), lsl: null, age: null, latency: null });
    expect(text('age')).toBe('no sample yet');
    expect(text('gaps')).toBe('none');
    expect(text('latest-index')).toBe('none');
  });
});

describe('SignalQuality', () => {
  const measured = quality('a', 0, 511, {
    TP9: { score: 0.97, reason: null },
    AF7: { score: 0.2, reason: 'mains hum' },
  });

  it('shows the score and the reason of each channel', () => {
    render(SignalQuality, {
      snapshot: snapshot({ quality: measured, latestIndex: 600 }),
      age: 0.1,
    });
    expect(text('quality-TP9')).toBe('97 %, good');
    expect(text('quality-AF7')).toBe('20 %, mains hum');
    expect(bars()).toEqual(['97%', '20%']);
    expect(there('quality-none')).toBe(false);
    expect(there('motion')).toBe(false);
  });

  it('says that the head moved', () => {
    const moved = { ...measured, motion: 'the head moved' };
    render(SignalQuality, { snapshot: snapshot({ quality: moved, latestIndex: 600 }), age: 0.1 });
    expect(text('motion')).toBe('The head moved.');
    expect(text('quality-TP9')).toBe('97 %, good');
  });

  it.each([
    ['before the first measurement', { quality: null }, 0.1],
    ['if the measurement is behind the signal', { latestIndex: 511 + info.sfreq + 1 }, 0.1],
    ['if the newest sample is old', {}, 2.5],
    ['before the first sample', {}, null],
    ['after the end of the session', { ended: true }, 0.1],
  ])('shows no score %s', (_, change, age) => {
    const old = snapshot({ quality: measured, latestIndex: 600, ...change });
    render(SignalQuality, { snapshot: old, age });
    expect(text('quality-TP9')).toBe('–');
    expect(bars()).toEqual([]);
  });
});

describe('BandPower', () => {
  const bands: BandsMessage = {
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

  it('shows each power with three digits, and dashes for missing ones', () => {
    render(BandPower, { snapshot: snapshot({ bands, latestIndex: 600 }), age: 0.1 });
    expect(row('TP9')).toEqual(['12.3', '0.50', '250', '1.00', '1 M']);
    expect(row('AF7')).toEqual(['–', '–', '–', '–', '–']);
    expect(bars()).toHaveLength(5);
  });

  it('shows no old power', () => {
    render(BandPower, { snapshot: snapshot({ bands, latestIndex: 600 }), age: 3 });
    expect(row('TP9')).toEqual(['–', '–', '–', '–', '–']);
  });
});

describe('ElectrodeMap', () => {
  const channels = {
    TP9: { score: 0.97, reason: null },
    AF7: { score: 0.5, reason: 'mains hum' },
    Fp2: { score: 0, reason: 'no contact' },
  } as const;
  const montage = ['TP9', 'AF7', 'AF8'].map((electrode, i) => ({
    electrode,
    channel: ['TP9', 'AF7', 'Fp2'][i]!,
    row: i,
    distance_mm: 0,
  }));
  const electrode = (name: string): HTMLElement => find(`electrode-${name}`);
  const names = ['TP9', 'AF7', 'Fp2', 'Cz', 'AUX'];

  function send(name: string, event: string): void {
    electrode(name).dispatchEvent(new Event(event));
    flushSync();
  }

  it('shows each electrode’s state as symbol and number, and describes it to screen readers', () => {
    render(ElectrodeMap, { names, montage, channels });
    expect(names.slice(0, 4).map((name) => text(`electrode-${name}`))).toEqual([
      'TP9 ✓ 97 %',
      'AF7 ! 50 %',
      'Fp2 ✕ 0 %',
      'Cz ?',
    ]);
    expect(names.slice(0, 4).map((name) => electrode(name).getAttribute('aria-label'))).toEqual([
      'TP9: 97 %, good',
      'AF7: 50 %, mains hum',
      'Fp2, used for AF8: 0 %, no contact',
      'Cz: not measured now; not used by the model',
    ]);
    expect(parseFloat(electrode('TP9').style.left)).toBeCloseTo(12.9, 1);
    expect(document.body.textContent).toContain('Unknown electrode position: AUX.');
  });

  it.each([
    ['focus', 'blur'],
    ['pointerenter', 'pointerleave'],
  ])('shows the details from %s to %s', (begin, end) => {
    render(ElectrodeMap, { names, montage: null, channels });
    send('AF7', begin);
    expect(text('electrode-text')).toBe('AF7: 50 %, mains hum');
    send('AF7', end);
    expect(text('electrode-text')).toBe('Select an electrode for details.');
  });

  it('returns to the electrode in focus when the pointer leaves another one', () => {
    render(ElectrodeMap, { names, montage: null, channels });
    send('AF7', 'focus');
    send('TP9', 'pointerenter');
    expect(text('electrode-text')).toBe('TP9: 97 %, good');
    send('TP9', 'pointerleave');
    expect(text('electrode-text')).toBe('AF7: 50 %, mains hum');
  });

  it('draws a channel without a position at the electrode that it is used for', () => {
    const substitute = [{ electrode: 'AF7', channel: 'AUX', row: 0, distance_mm: 0 }];
    render(ElectrodeMap, { names: ['AUX'], montage: substitute, channels: null });
    expect(electrode('AUX').dataset['state']).toBe('none');
    expect(document.body.textContent).not.toContain('Unknown electrode position');
  });
});

describe('Scrollback', () => {
  const actions = { freeze: vi.fn(), resume: vi.fn(), move: vi.fn() };

  it('freezes live traces and scrolls back', () => {
    render(Scrollback, { old: false, live: true, back: 0, maxBack: 60, ...actions });
    expect(text('trace-position')).toBe('Live');
    find('trace-freeze').click();
    expect(actions.freeze).toHaveBeenCalledOnce();
    enter('trace-back', '-12', 'input');
    expect(actions.move).toHaveBeenCalledExactlyOnceWith(12);
  });

  it('shows the frozen position and returns to live', () => {
    render(Scrollback, { old: false, live: false, back: 72, maxBack: 292, ...actions });
    expect(text('trace-position')).toBe('Frozen, 1:12 back');
    find('trace-freeze').click();
    enter('trace-back', '0', 'input');
    expect(actions.resume).toHaveBeenCalledTimes(2);
  });
});

describe('StaleWarning', () => {
  it('warns of a signal older than 2 s', () => {
    render(StaleWarning, { snapshot: snapshot({}), age: 4.2 });
    expect(text('stale')).toContain('The newest sample is 4.2 s old.');
  });

  it.each<[string, Partial<SessionSnapshot>, number | null]>([
    ['is current', {}, 1.9],
    ['has not started yet', {}, null],
    ['has ended', { ended: true }, 9],
    ['is paused', { link: { state: 'paused', detail: '', since: 0 } }, 9],
  ])('is hidden if the signal %s', (_, change, age) => {
    render(StaleWarning, { snapshot: snapshot(change), age });
    expect(there('stale')).toBe(false);
  });
});
