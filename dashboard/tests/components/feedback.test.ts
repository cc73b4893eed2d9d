// @vitest-environment happy-dom
import { SvelteMap } from 'svelte/reactivity';
import { describe, expect, it } from 'vitest';
import ShamRecordings from '../../src/components/feedback/ShamRecordings.svelte';
import type { ShamRecording } from '../../src/feedback/study_requests';
import { click, enter, find, render, settled, text, there } from '../dom';

const recording = (name: string): ShamRecording => ({
  ...{ name, title: null, person: null, started: null, seconds: 30 },
});
const MANY = Array.from({ length: 9 }, (_, number) => recording(`r${number}`));
const LACKS = 'not here, or without this quantity';
const common = { legend: 'Values of', quantity: 'band/alpha' };

describe('recordings for a sham', () => {
  it('are not missing because a request failed, and are asked for again', async () => {
    const answers = [Promise.reject(new Error('no answer')), Promise.resolve([recording('other')])];
    const feedbackApi = { recordings: () => answers.shift()! };
    render(ShamRecordings, { feedbackApi, chosen: ['other', 'gone'], ...common });
    await settled();
    expect(text('recordings-note')).toBe('no answer');
    expect(text('feedback-recordings')).not.toContain(LACKS);
    find('recordings-again').focus();
    await click('recordings-again');
    expect(text('recordings-note')).toBe('2 chosen, of up to 10.');
    expect(text('feedback-recordings').split(LACKS)).toHaveLength(2);
    expect(there('recordings-again')).toBe(false);
    expect(document.activeElement).toBe(find('recordings-note'));
  });

  it('are searched, which sends no form', async () => {
    const feedbackApi = { recordings: () => Promise.resolve(MANY) };
    render(ShamRecordings, { feedbackApi, chosen: ['r1'], ...common });
    await settled();
    enter('recording-search', 'r7');
    expect(there('feedback-recording-r7')).toBe(true);
    expect(there('feedback-recording-r2')).toBe(false);
    enter('recording-search', 'none');
    expect(text('recordings-note')).toBe('No recording matches. 1 chosen, of up to 10.');
    expect(there('feedback-recording-r1')).toBe(true);
    const pressed = new KeyboardEvent('keydown', {
      ...{ key: 'Enter', bubbles: true, cancelable: true },
    });
    expect(find('recording-search').dispatchEvent(pressed)).toBe(false);
  });

  it('are those of the quantity, none without one, whose mistake can have the focus', async () => {
    const feedbackApi = { recordings: () => Promise.resolve(MANY) };
    const typed = new SvelteMap([['quantity', 'band/alpha']]);
    render(ShamRecordings, {
      ...{ feedbackApi, legend: 'Values of', chosen: [], problem: 'Choose one.' },
      get quantity() {
        return typed.get('quantity')!;
      },
    });
    await settled();
    expect(there('feedback-recording-r1')).toBe(true);
    typed.set('quantity', ' ');
    await settled();
    expect(there('feedback-recording-r1')).toBe(false);
    expect(text('recordings-note')).toContain('Choose what to follow first');
    find('field-problem').focus();
    expect(document.activeElement).toBe(find('field-problem'));
  });
});
