// @vitest-environment happy-dom
import { flushSync } from 'svelte';
import { beforeEach, describe, expect, it } from 'vitest';
import Start from '../../src/components/start/Start.svelte';
import type { CatalogApi, Headset, ModelInfo, Sources } from '../../src/requests/catalog';
import type { NewSession } from '../../src/requests/sessions';
import { MuseLink } from '../../src/state/muse.svelte';
import { click, enter, render, settled, text, there } from '../dom';

let opened: NewSession[];
/** Error of the next request to open a session, or null. */
let failure: string | null;
/** Durations of the scans. */
let scans: number[];
let left: string[];

const sources: Sources = {
  headsets: [],
  models: [
    {
      ...{ maker: 'OpenBCI', model: 'Cyton', n_channels: 4, electrodes: [], problem: null },
      ways: [
        { way: 'dongle', url: 'brainflow://cyton?serial_port=..' },
        { way: 'wifi', url: 'brainflow://cyton_wifi?ip_port=..' },
      ],
    },
    {
      ...{ maker: 'InteraXon', model: 'Muse 2', n_channels: 4, electrodes: ['TP9', 'AF7'] },
      ...{ problem: null, ways: [{ way: 'bluetooth', url: 'muse://' }] },
    },
    {
      ...{ maker: 'PiEEG', model: 'PiEEG', n_channels: 8, electrodes: [] },
      problem: 'BrainFlow does not support it on this computer (linux).',
      ways: [{ way: 'cable', url: 'brainflow://pieeg?serial_port=..' }],
    },
  ],
  streams: [],
  bluetooth: { present: false, detail: 'no adapter', problem: null },
  apps: [
    {
      ...{ name: 'mindmonitor', title: 'Mind Monitor', url: 'osc://:5000?from=mindmonitor' },
      ...{ address: '10.0.0.7', port: 5000, setup: 'Enter the address 10.0.0.7 and port 5000.' },
    },
  ],
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
const modelInfo = (name: string, change: Partial<ModelInfo> = {}): ModelInfo => ({
  ...{ name, error: null, outputs: { valence: ['low', 'high'] }, montage: ['TP9'], baseline: 0 },
  ...{ trained_on: 'dreams', scores: {}, licence: 'MIT', notice: null, emotion: true },
  ...change,
});

let catalogApi: CatalogApi;

async function show(mayControl = true): Promise<void> {
  const open = (session: NewSession): Promise<void> => {
    opened.push(session);
    return failure ? Promise.reject(new Error(failure)) : Promise.resolve();
  };
  const [toRecordings, close] = [() => void left.push('recordings'), () => void left.push('out')];
  const muse = new MuseLink('ws://127.0.0.1:1');
  render(Start, {
    catalogApi,
    muse,
    mayControl,
    open,
    opened: () => undefined,
    toRecordings,
    close,
  });
  await settled();
}

beforeEach(() => {
  [opened, failure, scans, left] = [[], null, [], []];
  catalogApi = {
    sources: (seconds) => {
      scans.push(seconds);
      return Promise.resolve(sources);
    },
    models: () =>
      Promise.resolve([
        modelInfo('broken', { error: 'no checkpoint' }),
        modelInfo('demo', { scores: { 'subject/valence/balanced_accuracy': 0.771 } }),
        modelInfo('rested', { baseline: 60, notice: 'Only a test.' }),
      ]),
    people: () => Promise.resolve([]),
    recordings: () => Promise.resolve([{ name: 'muse-1', title: 'Müde, abends' }]),
  };
});

describe('Start', () => {
  it('opens the chosen source, by default the simulator with the first usable model', async () => {
    await show();
    await click('open');
    expect(opened).toEqual([{ source: 'simulate://?scenario=tour', model: 'demo', person: null }]);
  });

  it('shows the scores of a model', async () => {
    await show();
    expect(text('unseen-people-scores')).toBe('valence: 77 % (chance: 50 %)');
    enter('model', 'rested');
    expect(text('unseen-people-scores')).toBe('Not measured. Expect chance level.');
    expect(text('model-card')).toContain('Only a test.');
    expect(text('model-card')).toContain('60 s of the person at rest');
    enter('model', '');
    expect(there('model-card')).toBe(false);
    enter('person', 'P01');
    await click('open');
    expect(opened).toMatchObject([{ model: null, person: 'P01' }]);
  });

  it('shows the error of the service', async () => {
    failure = 'no headset found; switch it on';
    await show();
    await click('open');
    expect(text('start-problem')).toBe('No headset found; switch it on.');
    failure = null;
    await click('open');
    expect(there('start-problem')).toBe(false);
  });

  it('scans for headsets and streams', async () => {
    const eeg = { ...stream, name: 'EEG', url: 'lsl://?name=EEG' };
    const keys = { ...stream, name: 'Keys', url: null };
    const bluetooth = { present: true, detail: 'hci0', problem: null };
    await show();
    catalogApi.sources = (seconds) => {
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
    expect(opened.map(({ source }) => source)).toEqual([
      'brainflow://muse_s_athena?mac_address=00:55:DA:B0:11:22',
      'lsl://?name=EEG',
    ]);
  });

  it('gives advice if no headset was found, or Bluetooth is off', async () => {
    await show();
    await click('kind-scan');
    await click('scan');
    expect(text('scan-found')).toBe('No headsets or LSL streams found.');
    expect(text('no-headset')).toContain('Check that it is on');
    const problem = 'the Bluetooth adapter is off; switch it on';
    const bluetooth = { present: true, detail: 'hci0', problem };
    catalogApi.sources = () => Promise.resolve({ ...sources, bluetooth });
    await click('scan');
    expect([there('no-headset'), there('bluetooth')]).toEqual([false, false]);
    expect(text('bluetooth-problem')).toBe('The Bluetooth adapter is off; switch it on.');
  });

  it('shows why a scan failed', async () => {
    await show();
    catalogApi.sources = () => Promise.reject(new Error('the service does not respond'));
    await click('kind-scan');
    await click('scan');
    expect(text('scan-problem')).toBe('The service does not respond.');
    expect(there('scan-progress')).toBe(false);
  });

  it('checks the form before it sends a request', async () => {
    await show();
    await click('kind-url');
    await click('open');
    expect(text('start-problem')).toBe('Choose a source first.');
    await click('kind-scan');
    enter('model-of-headset', 'OpenBCI Cyton');
    await click('open');
    expect(text('start-problem')).toBe('Fill in the serial port.');
    await click('kind-simulator');
    enter('person', '../P01');
    await click('open');
    expect(text('start-problem')).toBe('Choose another pseudonym, for example P01.');
    expect(opened).toEqual([]);
  });

  it('offers each model once, with the ways to connect and what they need', async () => {
    await show();
    await click('kind-scan');
    enter('model-of-headset', 'InteraXon Muse 2');
    expect(text('scan-url')).toBe('muse://');
    expect(there('electrode-names')).toBe(false);
    enter('model-of-headset', 'OpenBCI Cyton');
    enter('parameter-serial_port', '/dev/ttyUSB0');
    expect(text('scan-url')).toBe('brainflow://cyton?serial_port=/dev/ttyUSB0');
    await click('way-wifi');
    expect(there('parameter-serial_port')).toBe(false);
    enter('parameter-ip_port', '6677');
    await click('open');
    expect(opened).toMatchObject([{ source: 'brainflow://cyton_wifi?ip_port=6677' }]);
    enter('model-of-headset', 'PiEEG PiEEG');
    expect(text('model-problem')).toContain('does not support it on this computer');
    expect(there('electrode-names')).toBe(false);
    await click('open');
    expect(text('start-problem')).toBe('Choose a source first.');
  });

  it('offers an app on a phone, and says what to set in it', async () => {
    await show();
    await click('kind-scan');
    enter('model-of-headset', 'OpenBCI Cyton');
    enter('model-of-headset', 'osc://:5000?from=mindmonitor');
    expect(text('app-setup')).toBe('Enter the address 10.0.0.7 and port 5000.');
    expect(there('parameter-serial_port')).toBe(false);
    expect(there('electrode-names')).toBe(false);
    await click('open');
    expect(opened).toMatchObject([{ source: 'osc://:5000?from=mindmonitor' }]);
    enter('model-of-headset', 'InteraXon Muse 2');
    expect(there('app-setup')).toBe(false);
    expect(text('scan-url')).toBe('muse://');
  });

  it('lets the person name electrodes on a head', async () => {
    await show();
    await click('kind-scan');
    enter('model-of-headset', 'OpenBCI Cyton');
    enter('parameter-serial_port', 'COM3');
    const url = 'brainflow://cyton?serial_port=COM3';
    for (const name of ['Fp1', 'Fp2', 'T7', 'T8']) await click(`place-${name}`);
    expect(text('scan-url')).toBe(`${url}&names=Fp1,Fp2,T7,T8`);
    await click('place-Fp2');
    expect(text('scan-url')).toBe(`${url}&channels=1,3,4&names=Fp1,T7,T8`);
    await click('place-Cz');
    expect(text('scan-url')).toBe(`${url}&names=Fp1,Cz,T7,T8`);
  });

  it('replays a recording, and leads to the recordings', async () => {
    await show();
    await click('kind-recording');
    enter('recording', 'muse-1');
    await click('open');
    expect(opened).toMatchObject([{ source: 'replay://muse-1?hold=1' }]);
    enter('recording', 'Müde, abends');
    await click('open');
    expect(opened[1]).toMatchObject({ source: 'replay://muse-1?hold=1' });
    await click('upload-instead');
    expect(left).toEqual(['recordings']);
  });

  it('takes a name before a title, and no title that two recordings have', async () => {
    const named = (name: string, title: string) => ({ name, title });
    const list = [named('day1', 'x'), named('day2', 'day1'), named('a', 'two'), named('b', 'two')];
    catalogApi.recordings = () => Promise.resolve(list);
    await show();
    await click('kind-recording');
    for (const typed of ['day1', 'x', 'two']) {
      enter('recording', typed);
      await click('open');
    }
    const replayed = ['day1', 'day1', 'two'].map((name) => `replay://${name}?hold=1`);
    expect(opened.map(({ source }) => source)).toEqual(replayed);
  });

  it('shows no form without permission to control', async () => {
    await show(false);
    expect(there('view-only')).toBe(true);
    expect([there('open'), scans]).toEqual([false, []]);
  });
});
