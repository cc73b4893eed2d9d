// @vitest-environment happy-dom
import { beforeEach, describe, expect, it } from 'vitest';
import type { PersonalReading, Subscribed } from 'mimamba-client';
import Output from '../../src/components/predictions/Output.svelte';
import PersonalOutput from '../../src/components/predictions/PersonalOutput.svelte';
import ValenceArousalPlane from '../../src/components/predictions/ValenceArousalPlane.svelte';
import { Session } from '../../src/state/session.svelte';
import type { Availability } from '../../src/text/availability';
import { head } from '../calibration/examples';
import { render, text, there } from '../dom';
import { model, prediction, subscribed } from '../service';

describe('Output', () => {
  const labels = ['low', 'high'];

  it('shows each probability as text and as a bar', () => {
    render(Output, { output: 'valence', labels, probabilities: { low: 0.31, high: 0.69 } });
    expect(text('probability-valence-high')).toBe('69 %');
    expect(text('probability-valence-low')).toBe('31 %');
    expect(document.querySelector('h3')?.textContent).toBe('Valence: high');
    const widths = [...document.querySelectorAll<HTMLElement>('.bar')].map(
      (bar) => bar.style.width,
    );
    expect(widths).toEqual(['31%', '69%']);
  });

  it('shows neither bar nor number without a prediction', () => {
    render(Output, { output: 'valence', labels, probabilities: null });
    expect(text('probability-valence-high')).toBe('–');
    expect(document.querySelectorAll('.bar')).toHaveLength(0);
    expect(document.querySelector('h3')?.textContent).toBe('Valence');
  });
});

describe('ValenceArousalPlane', () => {
  let session: Session;

  beforeEach(() => {
    session = new Session('a', '');
    session.setSubscribed(subscribed('a', 'e1') as Subscribed);
  });

  function predict(seq: number, valence: number, arousal: number): void {
    const message = prediction('a', seq, seq * model.hop, valence);
    message.outputs!['arousal'] = { low: 1 - arousal, high: arousal };
    session.addPrediction(message);
    session.publish();
  }
  const circle = (): SVGElement | null => document.querySelector('[data-testid="plane-point"]');

  it('draws the point and its spread, and describes both', () => {
    const availability: Availability = { available: true, outputs: {} };
    predict(0, 0.5, 0.25);
    predict(1, 0.7, 0.25);
    render(ValenceArousalPlane, { session, availability });
    expect(['cx', 'cy'].map((name) => Number(circle()?.getAttribute(name)))).toEqual([70, 75]);
    const description =
      'Probability of high valence 70 % (60 to 80), of high arousal 25 % (25 to 25)';
    expect(text('plane-text')).toBe(`${description}.`);
    const label = document.querySelector('[data-testid="plane"]')?.getAttribute('aria-label');
    expect(label?.replaceAll('\u00a0', ' ')).toBe(description);
  });

  it('draws the last rating', () => {
    const rating = { type: 'rating', session: 'a', index: 0, timestamp: 0, outputs: null } as const;
    session.addRating({ ...rating, seq: 0, valence: 70, arousal: 40, personal: null });
    session.publish();
    const availability: Availability = { available: true, outputs: {} };
    render(ValenceArousalPlane, { session, availability });
    const square = document.querySelector('[data-testid="plane-rating"]')!;
    expect(['x', 'y'].map((name) => Number(square.getAttribute(name)))).toEqual([67.5, 57.5]);
    expect(text('plane-text')).toBe('No point yet.');
  });

  it('draws no point if no prediction is available, and gives the reason', () => {
    const availability: Availability = { available: false, title: 'Paused', reason: '' };
    predict(0, 0.5, 0.25);
    render(ValenceArousalPlane, { session, availability });
    expect(circle()).toBeNull();
    expect(there('plane-spread')).toBe(false);
    expect(text('plane-why')).toBe('Paused');
    expect(text('plane-text')).toBe('No point: Paused.');
  });
});

describe('PersonalOutput', () => {
  const current: Availability = { available: true, outputs: {} };

  function show(personal: Partial<PersonalReading>, availability = current, change = {}): void {
    const session = new Session('a', '');
    const message = prediction('a', 0, 1, 0.5);
    message.personal = {
      ...{ index: 0, status: 'ok', reason: null, state: null, probabilities: null },
      ...personal,
    };
    session.addPrediction(message);
    session.publish();
    render(PersonalOutput, { session, head: head(change), availability });
  }
  const probabilities = { calm: 0.27, strained: 0.73 };

  it('is marked, with its verdict, day and delay', () => {
    show({ probabilities, state: 'strained' });
    expect(text('personal-state')).toBe('strained');
    expect([text('personal-calm'), text('personal-strained')]).toEqual(['27 %', '73 %']);
    expect(text('personal')).toContain('personal');
    expect(text('personal-verdict')).toBe(
      'P01, 2026-11-28: reliable, 76 % (62 to 88) of held-out time, guessing 50 %, p .004; ' +
        'holds today. Smoothed with a half-life of 5.0 s, so it follows a change after about 8.7 s.',
    );
  });

  it('says that it is unsure', () => {
    show({ probabilities });
    expect(text('personal-state')).toBe('unsure');
  });

  it('is grey until it is confirmed, and warns of drift', () => {
    show({ probabilities }, current, { confirmed: false, served: 'this session' });
    expect(document.querySelector('.grey')).not.toBeNull();
    expect(text('personal-verdict')).toContain('not confirmed today');
    expect(text('personal-verdict')).toContain('may follow the time');
  });

  it('is shown while the model alone has no output', () => {
    const poor = { available: false, title: 'Poor signal', reason: '', current: true } as const;
    show({ probabilities, state: 'calm' }, poor);
    expect(text('personal-state')).toBe('calm');
  });

  it('shows nothing of old signal, and its own reason for no output', () => {
    show({ probabilities, state: 'calm' }, { available: false, title: 'Paused', reason: '' });
    expect(there('personal-state')).toBe(false);
    expect(text('personal-calm')).toBe('–');
  });

  it('says why it has no output', () => {
    show({ status: 'warming_up', reason: 'baseline 12 of 60 s' });
    expect(text('personal-state')).toBe('warming up');
    expect(text('personal-reason')).toBe('Baseline 12 of 60 s.');
  });
});
