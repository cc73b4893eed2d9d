import { afterEach, describe, expect, it, vi } from 'vitest';
import { studyApi } from '../../src/requests/studies';

afterEach(() => vi.unstubAllGlobals());

function answer(status: number): void {
  vi.stubGlobal('fetch', () => Promise.resolve(Response.json({ detail: 'Other.' }, { status })));
}

describe('requests about studies', () => {
  it('say what to do about a study that is gone or has changed', async () => {
    answer(404);
    await expect(studyApi.save('rest', { step: [] }, '1')).rejects.toThrow(
      'It was deleted meanwhile. Save it under another name.',
    );
    answer(412);
    await expect(studyApi.remove('rest', '1')).rejects.toThrow('It was changed meanwhile.');
    await expect(studyApi.save('rest', { step: [] }, '1')).rejects.toThrow('Other.');
  });

  it('say so where nobody answers', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')));
    await expect(studyApi.download('rest')).rejects.toThrow('the service does not respond');
  });
});
