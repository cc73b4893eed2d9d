import { afterEach, expect, it, vi } from 'vitest';
import { readiness } from '../../src/requests/health';

afterEach(() => vi.unstubAllGlobals());

it.each([
  [{ status: 'ok' }, { problem: null, gateway: false }],
  [
    { status: 'ok', gateway: true },
    { problem: null, gateway: true },
  ],
  [
    { status: 'ok', detail: 'Cannot write.' },
    { problem: 'Cannot write.', gateway: false },
  ],
])('the readiness %o means %o', async (body, expected) => {
  const fetch = vi.fn(() => Promise.resolve(Response.json(body)));
  vi.stubGlobal('fetch', fetch);
  expect(await readiness()).toEqual(expected);
  expect(fetch).toHaveBeenCalledExactlyOnceWith('./readyz', { method: 'GET' });
});
