import { describe, expect, it } from 'vitest';
import { Answer } from '../../src/requests/query.svelte';

describe('Answer', () => {
  it('keeps what it has while it asks again, and takes the newest', async () => {
    const answer = new Answer<number>();
    await answer.settle(Promise.resolve(1));
    let tell = (_: number): void => undefined;
    const slow = answer.settle(new Promise((resolve) => (tell = resolve)));
    expect([answer.value, answer.asking]).toEqual([1, true]);
    await answer.settle(Promise.resolve(3));
    tell(2);
    await slow;
    expect([answer.value, answer.asking]).toEqual([3, false]);
  });

  it('says why there is none until there is one', async () => {
    const answer = new Answer<number>();
    await answer.settle(Promise.reject(new Error('no disk')));
    expect([answer.value, answer.problem, answer.asking]).toEqual([null, 'no disk', false]);
    await answer.settle(Promise.resolve(1));
    expect(answer.problem).toBeNull();
  });
});
