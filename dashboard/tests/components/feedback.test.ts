// @vitest-environment happy-dom
import type { Subscribed } from 'mimamba-client';
import { SvelteMap } from 'svelte/reactivity';
import { describe, expect, it } from 'vitest';
import Feedback from '../../src/components/feedback/Feedback.svelte';
import ShamRecordings from '../../src/components/feedback/ShamRecordings.svelte';
import type { ShamRecording } from '../../src/feedback/study_requests';
import type { EmotionNotice } from '../../src/state/emotion_notice.svelte';
import { Session } from '../../src/state/session.svelte';
import { click, enter, find, render, settled, text, there } from '../dom';
import { subscribed } from '../service';

const recording = (name: string): ShamRecording => ({
  ...{ name, title: null, person: null, started: null, seconds: 30 },
});
const MANY = Array.from({ length: 9 }, (_, number) => recording(`r${number}`));
const LACKS = 'not here, or without this quantity';
const common = { legend: 'Values of', quantity: 'band/alpha' };

describe('feedback on what infers emotion', () => {
  it('waits until the wearer has read the notice, and then stays with its quantity', async () => {
    const session = new Session('a', 'simulate://');
    const give = (outputs: Subscribed['outputs']): void => {
      session.setSubscribed({ ...subscribed('a', 'e1'), outputs } as Subscribed);
      session.publish();
    };
    give({ valence: ['low', 'high'] });
    const read = new SvelteMap([['notice', false]]);
    const notice = {
      ...{ outputs: {}, person: null, problem: null, seenAt: null },
      get shown() {
        return read.get('notice')!;
      },
      get state() {
        return read.get('notice') ? 'seen' : 'due';
      },
    } as EmotionNotice;
    const outputs = { valence: { low: 0.3, high: 0.7 } };
    render(Feedback, {
      ...{ session, notice, channels: ['AF7'], age: 0.1, mayControl: false },
      availability: { available: true as const, outputs },
      close: () => undefined,
    });
    const chosen = (): string => find<HTMLSelectElement>('feedback-quantity').value;
    const silent = (): boolean => find('feedback-figure').dataset.silent === 'true';
    const unread = 'Read the notice first.';
    expect(find<HTMLButtonElement>('feedback-start').disabled).toBe(true);
    expect([chosen(), text('feedback-value')]).toEqual(['output/valence/low', 'Now: –']);
    expect(text('feedback-figure')).toContain(unread);
    read.set('notice', true);
    await settled();
    await click('feedback-start');
    expect([chosen(), silent()]).toEqual(['output/valence/low', false]);
    read.set('notice', false); // due again, as for another person
    await settled();
    expect([chosen(), silent()]).toEqual(['output/valence/low', true]);
    expect(text('feedback-figure')).toContain(unread);
    give({ mood: ['calm'] }); // of another model
    await settled();
    expect([chosen(), silent()]).toEqual(['output/valence/low', true]);
    enter('feedback-quantity', 'band/alpha', 'change');
    expect(text('feedback-figure')).not.toContain(unread);
    await click('feedback-stop');
    expect(find<HTMLButtonElement>('feedback-start').disabled).toBe(false);
  });
});

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
