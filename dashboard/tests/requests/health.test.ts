import { afterEach, expect, it, vi } from 'vitest';
import { recordingProblem } from '../../src/requests/health';

afterEach(() => vi.unstubAllGlobals());

it.each([
  [{ status: 'ok' }, null],
  [{ status: 'ok', detail: 'Cannot write a recording.' }, 'Cannot write a recording.'],
])('the readiness %o means the problem %s', async (body, problem) => {
  const fetch = vi.fn(() => Promise.resolve(Response.json(body)));
  vi.stubGlobal('fetch', fetch);
  expect(await recordingProblem()).toBe(problem);
  expect(fetch).toHaveBeenCalledExactlyOnceWith('./readyz', { method: 'GET' });
});
