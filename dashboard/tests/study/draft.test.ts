import { describe, expect, it } from 'vitest';
import type { Protocol } from '../../src/requests/studies';
import {
  draftOf,
  draftStep,
  freeName,
  losesFeedback,
  nameFor,
  newDraft,
  problemsOf,
  protocolOf,
  stepOf,
  uploadName,
  wrongFields,
} from '../../src/study/draft';
import { Editing } from '../../src/study/editing.svelte';
import {
  SAMPLE_SECONDS,
  previewProgress,
  previewThreshold,
  sampleValue,
} from '../../src/study/preview';

const PROTOCOL: Protocol = {
  title: 'Rest',
  record: true,
  step: [
    { text: 'One\ntwo', seconds: 0.5, sound: 'first', marker: 'a', hed: 'Red, (Blue)' },
    { rating: true, speak: 'How do you feel?' },
  ],
};

describe('draft of a study', () => {
  it('has all fields of the file, and gives them back', () => {
    const draft = draftOf('rest', PROTOCOL);
    expect(draft.steps[1]).toMatchObject({ text: '', seconds: '', marker: '', rating: true });
    expect(protocolOf(draft)).toEqual(PROTOCOL);
  });

  it('has the feedback of the steps that give it', () => {
    const feedback = { quantity: 'band/alpha', below: 0.35, values: 'balanced', block: 6 };
    const given: Protocol = {
      feedback: { ...feedback, recordings: ['P07', 'P08'] },
      step: [{ text: 'One', feedback: true }],
    };
    const draft = draftOf('rest', given);
    expect(draft.feedback).toMatchObject({ side: 'below', at: '0.35', recordings: ['P07', 'P08'] });
    expect(protocolOf(draft)).toEqual(given);
    draft.feedback.at = 'high';
    draft.feedback.values = 'real';
    expect(protocolOf(draft).feedback).toEqual({ quantity: 'band/alpha', below: 'high' });
    draft.steps[0]!.feedback = false;
    expect(protocolOf(draft)).toEqual({ step: [{ text: 'One' }] });
    expect(losesFeedback(draft)).toBe(true);
    expect(losesFeedback(newDraft())).toBe(false);
  });

  it('leaves what is no number to the service', () => {
    const seconds = (typed: string): unknown => stepOf({ ...draftStep(), seconds: typed }).seconds;
    expect(['2,5', '0,500', ' 60 ', '1 min', ' '].map(seconds)).toEqual([
      2.5,
      0.5,
      60,
      '1 min',
      undefined,
    ]);
    expect(seconds('1,200')).toBe('1,200'); // 1.2 s or 20 minutes
  });

  it('has a name for its file', () => {
    expect(['Eyes: open & closed', 'Öffnen', '日本', '-'].map(nameFor)).toEqual([
      'eyes-open-closed',
      'offnen',
      '',
      '',
    ]);
    expect(freeName('rest', ['rest', 'rest-2'])).toBe('rest-3');
    const files = ['My_rest.toml', 'rest (1).TOML', 'rest.toml', '日本.toml'];
    expect(files.map((file) => uploadName(file, ['rest']))).toEqual([
      'My_rest',
      'rest-1',
      'rest-2',
      'study',
    ]);
  });

  it('has plain spaces where others were pasted', () => {
    expect(stepOf({ ...draftStep(), text: 'a\tb\u00a0c\nd', marker: '\u202fe' })).toEqual({
      text: 'a b c\nd',
      marker: 'e',
    });
  });

  it('shows the first mistake of each field', () => {
    const mistakes = [
      { step: 1, field: 'text', problem: 'first' },
      { step: 1, field: 'text', problem: 'second' },
      { step: null, field: 'title', problem: 'title' },
      { step: 1, field: null, problem: 'step' },
    ];
    expect(problemsOf(mistakes, 1)).toEqual({ text: 'first', '': 'step' });
    expect(problemsOf(mistakes, null)).toEqual({ title: 'title' });
    expect(wrongFields(mistakes)).toBe(3);
  });

  it('knows whether something would be lost', () => {
    const editing = new Editing();
    editing.openRead({ name: 'rest', version: '1', protocol: PROTOCOL });
    expect(editing.changed).toBe(false);
    editing.draft!.steps[0]!.text = 'Other';
    expect(editing.changed).toBe(true);
    editing.close();
    expect(editing.changed).toBe(false);
    editing.openCopy('copy', PROTOCOL);
    expect(editing.changed).toBe(true);
    editing.open(newDraft());
    expect(editing.changed).toBe(false);
    editing.draft!.title = 'Mine';
    expect(editing.changed).toBe(true);
    editing.openRead({ name: 'rest', version: '1', protocol: PROTOCOL });
    editing.draft!.feedback.quantity = 'band/alpha'; // typed, and no step gives it now
    expect(editing.changed).toBe(true);
  });

  it('is previewed with the times that it will have', () => {
    const [first, second] = [1, 2].map((number) => previewProgress('Rest', PROTOCOL, number));
    expect(first).toMatchObject({ total: 0.5, planned: 10.5, later: 10, text: 'One\ntwo' });
    expect(second).toMatchObject({ total: null, later: 0, rating: true });
    expect(second!.text).toBe('How do you feel right now?');
  });

  it('has made-up feedback in its preview, which passes each threshold', () => {
    const values = [0, 0.25, 0.5, 1].map((part) => sampleValue(part * SAMPLE_SECONDS));
    expect(values.map((each) => Number(each.toFixed(6)))).toEqual([0, 0.5, 1, 0]);
    expect(previewThreshold({ below: 0.3 })).toEqual({ side: 'below', at: 0.3, back: 0.05 });
  });
});
