import { describe, expect, it } from 'vitest';
import { missingParameters, replayUrl } from '../../src/requests/source_url';

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
