// @vitest-environment happy-dom
import { flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import Start from '../../src/components/start/Start.svelte';
import type { Headset, OfferedModel, Offers, Sources } from '../../src/requests/catalog';
import type { NewSession } from '../../src/requests/sessions';
import { find, text, there } from '../dom';

let shown: Record<string, unknown> | null = null;
let wanted: NewSession[];
let refusal: string | null;
let scans: number[];
let left: string[];

const sources: Sources = {
  headsets: [],
  boards: [{ name: 'cyton', title: 'OpenBCI Cyton', url: 'brainflow://cyton?serial_port=..' }],
  streams: [],
  bluetooth: { present: false, detail: 'no adapter', problem: null },
  simulations: [
    { name: 'tour', summary: 'four corners', url: 'simulate://?scenario=tour' },
    { name: 'calm', summary: 'one state', url: 'simulate://?scenario=calm' },
  ],
  missing: ['BrainFlow is not installed'],
};
const stream = { type: 'EEG', sfreq: 256, n_channels: 4, source_id: 'x', hostname: 'lab' };
const headset = (board: string, note: string | null): Headset => ({
  ...{ name: 'MuseS-1122', title: board.toUpperCase(), way: 'bluetooth', rssi: -52, note },
  url: `brainflow://${board}?mac_address=00:55:DA:B0:11:22`,
});
const dongle: Headset = {
  ...{ name: '/dev/ttyUSB0', title: 'OpenBCI Cyton', way: 'serial', rssi: null, note: null },
  url: 'brainflow://cyton?serial_port=/dev/ttyUSB0',
};
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
    const eeg = { ...stream, name: 'EEG', url: 'lsl://?name=EEG' };
    const keys = { ...stream, name: 'Keys', url: null };
    const bluetooth = { present: true, detail: 'hci0', problem: null };
    await render();
    offers.sources = (seconds) => {
      scans.push(seconds);
      const found = [headset('muse_s', 'may be another'), headset('muse_s_athena', null), dongle];
      return Promise.resolve({ ...sources, headsets: found, streams: [eeg, keys], bluetooth });
    };
    await click('kind-scan');
    expect(text('bluetooth')).toBe('Bluetooth adapter: none (no adapter).');
    expect(document.body.textContent).toContain('BrainFlow is not installed');
    expect(there('scan-found')).toBe(false);
    await click('scan');
    expect(scans).toEqual([0.1, 5]);
    expect(text('scan-found')).toBe('2 headsets and 2 LSL streams found.');
    expect(text('bluetooth')).toBe('Bluetooth adapter: yes (hci0).');
    const items = [...document.querySelectorAll('li')].map((item) =>
      item.textContent.trim().replace(/\s+/g, ' '),
    );
    expect(items.slice(0, 3)).toEqual([
      'MuseS-1122, MUSE_S, signal −52 dBm may be another',
      'MuseS-1122, MUSE_S_ATHENA, signal −52 dBm',
      '/dev/ttyUSB0, OpenBCI Cyton, serial',
    ]);
    const radios = [...document.querySelectorAll<HTMLInputElement>('input[name="found"]')];
    expect(radios.map(({ disabled }) => disabled)).toEqual([false, false, false, false, true]);
    for (const radio of [radios[1]!, radios[3]!]) {
      radio.click();
      flushSync();
      await click('open');
    }
    expect(wanted.map(({ source }) => source)).toEqual([
      'brainflow://muse_s_athena?mac_address=00:55:DA:B0:11:22',
      'lsl://?name=EEG',
    ]);
  });

  it('says what to do where no headset was found, and where none can be', async () => {
    await render();
    await click('kind-scan');
    await click('scan');
    expect(text('scan-found')).toBe('No headset and no LSL stream was found.');
    expect(text('no-headset')).toContain('switched on');
    const problem = 'wanted Bluetooth headsets; found an adapter that is off; switch it on';
    const bluetooth = { present: true, detail: 'hci0', problem };
    offers.sources = () => Promise.resolve({ ...sources, bluetooth });
    await click('scan');
    expect([there('no-headset'), there('bluetooth')]).toEqual([false, false]);
    expect(text('bluetooth-problem')).toContain('found an adapter that is off; switch it on');
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
