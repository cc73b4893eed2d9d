// @vitest-environment happy-dom
import type { FeedbackMessage, StudyMessage } from 'mimamba-client';
import { SvelteDate } from 'svelte/reactivity';
import { beforeEach, describe, expect, it } from 'vitest';
import { quantityGroups } from '../../src/feedback/quantity';
import Study from '../../src/components/study/Study.svelte';
import StudyEditor from '../../src/components/study/StudyEditor.svelte';
import StudyPreview from '../../src/components/study/StudyPreview.svelte';
import type { Protocol, StudyApi } from '../../src/requests/studies';
import type { EmotionNotice } from '../../src/state/emotion_notice.svelte';
import { Session } from '../../src/state/session.svelte';
import { Editing } from '../../src/study/editing.svelte';
import { SAMPLE_SECONDS, previewFeedback, previewProgress } from '../../src/study/preview';
import { click, enter, find, render, settled, text, there } from '../dom';

const PROTOCOL: Protocol = {
  feedback: { quantity: 'band/alpha', above: 0.4 },
  step: [
    { text: 'Follow', feedback: true },
    { rating: true, feedback: true },
    { text: 'Rest', seconds: 5 },
  ],
};
const studyApi = { list: () => Promise.resolve([]) } as unknown as StudyApi;
const catalogApi = { models: () => Promise.resolve([]) };
const offered = {
  quantities: quantityGroups({ outputs: { mood: ['calm'] }, head: null, model: null }, []),
  channels: ['AF7', 'AF8'],
};

describe('a step of a study', () => {
  const show = (session: Session, notice: EmotionNotice | null): void => {
    const nothing = (): void => undefined;
    const page = { connected: true, channels: [], age: 0.1, time: 0, lsl: 10 };
    const doing = { open: nothing, close: nothing };
    render(Study, { session, studyApi, catalogApi, notice, mayControl: true, ...page, ...doing });
  };
  const at = (
    number: number,
    notice: EmotionNotice | null = null,
    quantity = 'band/alpha',
  ): void => {
    const session = new Session('a', 'simulate://');
    const common = { session: 'a', seq: 0, timestamp: 10 };
    const progress = previewProgress('Training', PROTOCOL, number);
    const study: StudyMessage = { type: 'study', ...common, id: 's', progress };
    session.addStudy(study, 0);
    const state = previewFeedback({ side: 'above', at: 0.4, back: 0.05 }, quantity, 0.7, true);
    session.addFeedback({ type: 'feedback', ...common, id: 'f', state } as FeedbackMessage);
    session.publish();
    show(session, notice);
  };

  it('shows the feedback that it gives', () => {
    at(1);
    expect(find('feedback-figure').dataset.on).toBe('true');
  });

  it('shows it with the question of a rating, too', () => {
    at(2);
    expect([there('rating'), there('feedback-figure'), there('go-on')]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('shows feedback about emotion once the wearer has read the notice', () => {
    const due = { state: 'due', shown: false, outputs: {}, person: null } as EmotionNotice;
    at(1, due, 'valence/high');
    expect(there('emotion-notice')).toBe(true);
    expect(text('feedback-figure')).toContain('Read the notice first.');
  });

  it('can be begun by a wearer who has read the notice', async () => {
    const due = { state: 'due', shown: false, outputs: {}, person: null } as EmotionNotice;
    show(new Session('a', 'simulate://'), due);
    await settled();
    expect(there('emotion-notice')).toBe(true);
  });

  it('shows no other feedback of the session', () => {
    at(3);
    expect([text('headline'), there('feedback-figure')]).toEqual(['Rest', false]);
  });
});

describe('the editor of a study', () => {
  const editing = new Editing();

  beforeEach(() => editing.openRead({ name: 'rest', version: '1', protocol: PROTOCOL }));

  it('offers what feedback can follow, and takes another name', async () => {
    const doing = { onSaved: (): void => undefined, close: (): void => undefined };
    const draft = editing.draft!;
    const modelsProblem = 'no answer';
    render(StudyEditor, { editing, draft, studyApi, time: 0, modelsProblem, ...offered, ...doing });
    expect(text('study-models-problem')).toContain('models are not listed: no answer.');
    const choose = (value: string, field = 'quantity'): string => {
      enter(`study-feedback-${field}`, value);
      return draft.feedback.quantity;
    };
    expect(find<HTMLSelectElement>('study-feedback-quantity').value).toBe('band/alpha');
    expect(choose('AF8', 'channel')).toBe('band/alpha/AF8');
    expect(choose('band/theta')).toBe('band/theta/AF8'); // of the same electrode
    expect(choose('mood/calm')).toBe('mood/calm');
    expect(there('study-feedback-channel')).toBe(false);
    choose(':typed');
    expect(choose('personal/calm', 'name')).toBe('personal/calm');
  });

  it('says that feedback which no step gives is not saved', async () => {
    const doing = { onSaved: (): void => undefined, close: (): void => undefined };
    render(StudyEditor, {
      editing,
      draft: editing.draft!,
      studyApi,
      time: 0,
      ...offered,
      ...doing,
    });
    await click('gives-feedback-1');
    expect(there('loses-feedback')).toBe(false);
    await click('gives-feedback-2');
    expect(text('loses-feedback')).toContain('what you typed about feedback is not saved');
  });

  it('has the focus on a mistake about recordings where none is listed', async () => {
    const mistake = { step: null, field: 'feedback.recordings', problem: 'Choose a recording.' };
    const checking = { ...studyApi, check: () => Promise.resolve([mistake]) };
    const doing = { onSaved: (): void => undefined, close: (): void => undefined };
    const sham: Protocol = { ...PROTOCOL, feedback: { values: 'sham', recordings: [] } };
    editing.openRead({ name: 'rest', version: '1', protocol: sham });
    render(StudyEditor, {
      editing,
      draft: editing.draft!,
      studyApi: checking,
      time: 0,
      ...offered,
      ...doing,
    });
    await click('save-study');
    expect(document.activeElement).toBe(find('field-problem'));
    expect(text('field-problem')).toBe(mistake.problem);
  });

  it('previews feedback with made-up values', async () => {
    const clock = new SvelteDate(0);
    render(StudyPreview, {
      title: 'Training',
      protocol: PROTOCOL,
      get time() {
        return clock.getTime() / 1000;
      },
      close: () => undefined,
    });
    expect(find('feedback-figure').dataset.on).toBe('false');
    clock.setTime(500 * SAMPLE_SECONDS); // half of its time
    await settled();
    expect(find('feedback-figure').dataset.on).toBe('true');
    expect(text('sample-feedback')).toContain('made-up values');
    await click('preview-next');
    await click('preview-next');
    expect([there('feedback-figure'), there('sample-feedback')]).toEqual([false, false]);
  });
});
