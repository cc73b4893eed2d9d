import { describe, expect, it } from 'vitest';
import type { BandsMessage, PredictionMessage, QualityMessage, Subscribed } from 'mimamba-client';
import { outcomeText } from '../../src/feedback/outcome';
import { choicesOf, quantityGroups, quantityName, readingOf } from '../../src/feedback/quantity';
import { type Threshold, isOn } from '../../src/feedback/threshold';
import type { ModelInfo } from '../../src/requests/catalog';
import { Session } from '../../src/state/session.svelte';
import type { Availability } from '../../src/text/availability';
import { quality, subscribed } from '../service';

const ABOVE: Threshold = { side: 'above', at: 0.6, back: 0.1 };

describe('threshold', () => {
  it('holds on until the value has come back', () => {
    const states: boolean[] = [];
    for (const value of [0.5, 0.6, 0.55, 0.5, 0.49, 0.55, null, 0.6])
      states.push(isOn(ABOVE, value, states.at(-1) ?? false));
    expect(states).toEqual([false, true, true, true, false, false, false, true]);
  });

  it('works downwards too', () => {
    const below: Threshold = { ...ABOVE, side: 'below' };
    expect(isOn(below, 0.65, false)).toBe(false);
    expect(isOn(below, 0.65, true)).toBe(true);
    expect(isOn(below, 0.6, false)).toBe(true);
  });
});

describe('quantities', () => {
  const session = new Session('a', 'simulate://');
  session.setSubscribed(subscribed('a', 'e1') as Subscribed);
  const channels = session.snapshot.info?.ch_names ?? [];
  const available: Availability = {
    available: true,
    outputs: { valence: { low: 0.3, high: 0.7 } },
  };
  const abstains: Availability = { available: false, title: 'Poor signal', reason: 'AF7 is flat.' };
  const output = { kind: 'output', output: 'valence', label: 'high' } as const;

  it('are outputs and bands', () => {
    session.publish();
    const keys = choicesOf(session.snapshot).map(({ key }) => key);
    expect(keys).toContain('output/valence/high');
    expect(keys).toContain('band/alpha');
  });

  it('of a model are one group, also if another one has its name', () => {
    session.publish();
    const { model } = session.snapshot;
    const other = { ...model!, outputs: { valence: ['high'], mood: ['calm'] } };
    const groups = quantityGroups(session.snapshot, [other as unknown as ModelInfo]);
    expect(groups.map(({ label }) => label)).toEqual([`Outputs of ${model!.name}`, 'Bands']);
    const names = groups[0]!.choices.map(({ name }) => name);
    expect(names).toEqual(['valence/low', 'valence/high', 'mood/calm']);
  });

  it('have no value while the model abstains', () => {
    const of = (now: Availability): unknown =>
      readingOf(output, null, channels, session.snapshot, now, 0.1);
    expect(of(available)).toEqual({ value: 0.7 });
    expect(of(abstains)).toEqual({ value: null, reason: 'Poor signal. AF7 is flat.' });
  });

  it('have no value where an electrode is bad', () => {
    const names = session.snapshot.info!.ch_names;
    const band = { delta: 1, theta: 1, alpha: 6, beta: 1, gamma: 1 };
    const measure = (score: number): void => {
      const scores = Object.fromEntries(names.map((name) => [name, { score, reason: null }]));
      session.addQuality(quality('a', 0, 0, scores) as QualityMessage);
      const bands = Object.fromEntries(names.map((name) => [name, band]));
      session.addBands({
        type: 'bands',
        session: 'a',
        seq: 0,
        index: 0,
        timestamp: 0,
        channels: bands,
      } as BandsMessage);
      session.publish();
    };
    const read = (): unknown =>
      readingOf({ kind: 'band', band: 'alpha' }, null, names, session.snapshot, abstains, 0.1);
    measure(0.9);
    expect(read()).toEqual({ value: 0.6 });
    measure(0.4);
    expect(read()).toEqual({ value: null, reason: `${names[0]}: poor signal.` });
  });

  it('of ones own output go on while the model alone abstains', () => {
    const personal = { index: 0, status: 'ok', reason: null, state: null } as const;
    session.addPrediction({
      ...{
        type: 'prediction',
        session: 'a',
        seq: 0,
        index: 0,
        timestamp: 0,
        status: 'poor_signal',
      },
      ...{ reason: 'x', outputs: null, timing: { received: 0, stepped: 0, published: 0 } },
      personal: { ...personal, probabilities: { calm: 0.25, strained: 0.75 } },
    } as PredictionMessage);
    session.publish();
    const own = { kind: 'personal', state: 'calm' } as const;
    const now: Availability = { ...abstains, current: true };
    expect(readingOf(own, null, channels, session.snapshot, now, 0.1)).toEqual({ value: 0.25 });
    expect(readingOf(own, null, channels, session.snapshot, abstains, 0.1).value).toBeNull();
  });
});

describe('feedback for a study', () => {
  it('names quantities as rules do', () => {
    expect(quantityName({ kind: 'band', band: 'alpha' }, null)).toBe('band/alpha');
    expect(quantityName({ kind: 'band', band: 'alpha' }, 'AF7')).toBe('band/alpha/AF7');
    expect(quantityName({ kind: 'personal', state: 'calm' }, null)).toBe('personal/calm');
    expect(quantityName({ kind: 'output', output: 'valence', label: 'high' }, null)).toBe(
      'valence/high',
    );
  });

  it('says afterwards whose values it was', () => {
    const run = { id: 'a', sham_from: 2, passes: 1, began: 1, ended: 11, on: 4, silent: 1 };
    expect(outcomeText({ ...run, source: 'real', sham: null })).toBe(
      'It was real: values of this headset. There was feedback in 40 % of the time, and no value in 10 %.',
    );
    expect(outcomeText({ ...run, source: 'sham', sham: 'day1', passes: 3 })).toContain(
      'values of the recording day1, from 2.0 s on, 3 passes.',
    );
  });
});
