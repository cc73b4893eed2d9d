// @vitest-environment happy-dom
import { beforeEach, describe, expect, it } from 'vitest';
import Output from '../../src/components/predictions/Output.svelte';
import ValenceArousalPlane from '../../src/components/predictions/ValenceArousalPlane.svelte';
import type { Subscribed } from '../../src/connection/protocol';
import { Session } from '../../src/state/session.svelte';
import type { Availability } from '../../src/text/availability';
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
    const description = 'Probability of high valence 70 % ± 10, of high arousal 25 % ± 0';
    expect(text('plane-text')).toBe(`${description}.`);
    const label = document.querySelector('[data-testid="plane"]')?.getAttribute('aria-label');
    expect(label?.replaceAll('\u00a0', ' ')).toBe(description);
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
