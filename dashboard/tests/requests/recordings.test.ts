import { expect, it } from 'vitest';
import { recordingSeconds } from '../../src/requests/recordings';
import { recording } from '../service';

it.each([
  [{}, 65],
  [{ seconds: 7.5 }, 7.5],
  [{ ended: null }, null],
  [{ started: null }, null],
  [{ state: 'recording', ended: null } as const, 20],
])('the duration of %o is %s s', (change, seconds) => {
  expect(recordingSeconds(recording(change), Date.parse('2026-01-02T10:00:20Z'))).toBe(seconds);
});
