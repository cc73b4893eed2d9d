// @vitest-environment happy-dom
import { flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import Start from '../src/components/Start.svelte';
import type { OfferedModel, Offers, Sources } from '../src/offers';
import type { NewSession } from '../src/steering';
import { find, text, there } from './dom';

let shown: Record<string, unknown> | null = null;
let wanted: NewSession[];
let refusal: string | null;
let scans: number[];
let left: string[];

const sources: Sources = {
  boards: [{ name: 'cyton', title: 'OpenBCI Cyton', url: 'brainflow://cyton?serial_port=..' }],
  streams: [],
  bluetooth: { present: false, detail: 'no adapter' },
  simulations: [
    { name: 'tour', summary: 'four corners', url: 'simulate://?scenario=tour' },
    { name: 'calm', summary: 'one state', url: 'simulate://?scenario=calm' },
  ],
  missing: ['BrainFlow is not installed'],
};
const stream = { type: 'EEG', sfreq: 256, n_channels: 4, source_id: 'x', hostname: 'lab' };
const offered = (name: string, change: Partial<OfferedModel> = {}): OfferedModel => ({
  ...{ name, error: null, outputs: { valence: ['low', 'high'] }, montage: ['TP9'], baseline: 0 },
  ...{ trained_on: 'dreams', scores: {}, licence: 'MIT', notice: null },
  ...change,
});

let offers: Offers;

async function settled(): Promise<void> {
  flushSync();
  await new Promise((resolve) => setTimeout(resolve, 0));
  flushSync();
}

function enter(testid: string, value: string): void {
  const field = find<HTMLInputElement>(testid);
  field.value = value;
  for (const event of ['input', 'change']) field.dispatchEvent(new Event(event, { bubbles: true }));
  flushSync();
}

async function click(testid: string): Promise<void> {
  find(testid).click();
  await settled();
}

async function render(mayControl = true): Promise<void> {
  const open = (session: NewSession): Promise<void> => {
    wanted.push(session);
    return refusal ? Promise.reject(new Error(refusal)) : Promise.resolve();
  };
  const [toRecordings, close] = [() => void left.push('recordings'), () => void left.push('out')];
  const props = { offers, mayControl, open, toRecordings, close };
  shown = mount(Start, { target: document.body, props });
  await settled();
}

beforeEach(() => {
  [wanted, refusal, scans, left] = [[], null, [], []];
  offers = {
    sources: (seconds) => {
      scans.push(seconds);
      return Promise.resolve(sources);
    },
    models: () =>
      Promise.resolve([
        offered('broken', { error: 'no checkpoint' }),
        offered('demo', { scores: { 'subject/valence/balanced_accuracy': 0.771 } }),
        offered('rested', { baseline: 60, notice: 'Only a test.' }),
      ]),
    people: () => Promise.resolve([]),
    recordings: () => Promise.resolve(['muse-1']),
  };
});

afterEach(async () => {
  if (shown) await unmount(shown);
  shown = null;
  document.body.replaceChildren();
});

describe('Start', () => {
  it('opens what was chosen: at first the simulator and the first model that can be used', async () => {
    await render();
    await click('open');
    expect(wanted).toEqual([{ source: 'simulate://?scenario=tour', model: 'demo', person: null }]);
  });

  it('tells of a model what it is good for', async () => {
    await render();
    expect(text('honest-scores')).toBe('valence: 77 % (chance: 50 %)');
    enter('model', 'rested');
    expect(text('honest-scores')).toBe('Nobody has measured that. Expect chance.');
    expect(text('model-card')).toContain('Only a test.');
    expect(text('model-card')).toContain('It wants 60 s of the person’s rest first');
    enter('model', '');
    expect(there('model-card')).toBe(false);
    enter('person', 'P01');
    await click('open');
    expect(wanted).toMatchObject([{ model: null, person: 'P01' }]);
  });

  it('says in the service’s words why it did not open', async () => {
    refusal = 'wanted a headset; found none; switch it on';
    await render();
    await click('open');
    expect(text('start-problem')).toBe('Wanted a headset; found none; switch it on.');
    refusal = null;
    await click('open');
    expect(there('start-problem')).toBe(false);
  });

  it('looks for headsets and streams', async () => {
    const eeg = { ...stream, name: 'Muse', url: 'lsl://?name=Muse' };
    const keys = { ...stream, name: 'Keys', url: null };
    await render();
    offers.sources = (seconds) => {
      scans.push(seconds);
      return Promise.resolve({ ...sources, streams: [eeg, keys] });
    };
    await click('kind-scan');
    expect(text('bluetooth')).toBe('Bluetooth adapter: none (no adapter).');
    expect(document.body.textContent).toContain('BrainFlow is not installed');
    await click('scan');
    expect(scans).toEqual([0.1, 3]);
    expect(text('scan-found')).toBe('2 LSL streams found.');
    const radios = [...document.querySelectorAll<HTMLInputElement>('input[name="stream"]')];
    expect(radios.map(({ disabled }) => disabled)).toEqual([false, true]);
    radios[0]!.click();
    flushSync();
    await click('open');
    expect(wanted).toMatchObject([{ source: 'lsl://?name=Muse' }]);
  });

  it('says why nothing was found', async () => {
    await render();
    offers.sources = () => Promise.reject(new Error('the service does not answer'));
    await click('kind-scan');
    await click('scan');
    expect(text('scan-problem')).toBe('The service does not answer.');
    expect(there('scan-progress')).toBe(false);
  });

  it('asks for what is missing before it asks the service', async () => {
    await render();
    await click('kind-url');
    await click('open');
    expect(text('start-problem')).toBe('Choose a source first.');
    await click('kind-scan');
    enter('board', sources.boards[0]!.url);
    await click('open');
    expect(text('start-problem')).toBe('Fill in serial_port in the source’s URL.');
    await click('kind-simulator');
    enter('person', '../P01');
    await click('open');
    expect(text('start-problem')).toBe('Choose another pseudonym, as P01.');
    expect(wanted).toEqual([]);
  });

  it('plays a recording, and leads to where one is uploaded', async () => {
    await render();
    await click('kind-recording');
    enter('recording', 'muse-1');
    await click('open');
    expect(wanted).toMatchObject([{ source: 'replay://muse-1?hold=1' }]);
    await click('upload-instead');
    expect(left).toEqual(['recordings']);
  });

  it('offers nothing to whom may only look', async () => {
    await render(false);
    expect(there('only-looks')).toBe(true);
    expect([there('open'), scans]).toEqual([false, []]);
  });
});
