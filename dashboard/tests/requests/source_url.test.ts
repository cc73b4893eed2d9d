import { describe, expect, it } from 'vitest';
import {
  fillIn,
  missingParameters,
  replayUrl,
  withElectrodes,
} from '../../src/requests/source_url';

describe('replayUrl', () => {
  it.each([
    [' muse-1 ', 'replay://muse-1?hold=1'],
    ['a folder/50 %?.csv', 'replay://a%20folder/50%20%25%3F.csv?hold=1'],
    ['  ', ''],
  ])('%s', (recording, url) => expect(replayUrl(recording)).toBe(url));
});

describe('missingParameters', () => {
  it.each([
    ['brainflow://cyton?serial_port=..&mac_address=..', ['serial_port', 'mac_address']],
    ['brainflow://cyton?serial_port=/dev/ttyUSB0', []],
    ['simulate://', []],
  ])('%s', (url, names) => expect(missingParameters(url)).toEqual(names));
});

describe('fillIn', () => {
  it('replaces placeholders by values', () => {
    const url = 'brainflow://x?serial_port=..&ip_port=..';
    expect(fillIn(url, { serial_port: ' /dev/serial/by-id/a b&c ' })).toBe(
      'brainflow://x?serial_port=/dev/serial/by-id/a%20b%26c&ip_port=..',
    );
    expect(fillIn(url, {})).toBe(url);
    expect(fillIn('muse://', { serial_port: 'COM3' })).toBe('muse://');
  });
});

describe('withElectrodes', () => {
  it('names the channels, and selects those that have a name', () => {
    expect(withElectrodes('a://b', [null, null])).toBe('a://b');
    expect(withElectrodes('a://b', ['C3', 'C4'])).toBe('a://b?names=C3,C4');
    expect(withElectrodes('a://b?x=1', [null, 'C4'])).toBe('a://b?x=1&channels=2&names=C4');
  });
});
