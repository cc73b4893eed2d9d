import { describe, expect, it } from 'vitest';
import { Query } from '../../src/requests/query.svelte';

describe('Query', () => {
  it('keeps its value during the next request, and takes the newest', async () => {
    const query = new Query<number>();
    await query.settle(Promise.resolve(1));
    let tell = (_: number): void => undefined;
    const slow = query.settle(new Promise((resolve) => (tell = resolve)));
    expect([query.value, query.pending]).toEqual([1, true]);
    await query.settle(Promise.resolve(3));
    tell(2);
    await slow;
    expect([query.value, query.pending]).toEqual([3, false]);
  });

  it('has the error until the next success', async () => {
    const query = new Query<number>();
    await query.settle(Promise.reject(new Error('no disk')));
    expect([query.value, query.problem, query.pending]).toEqual([null, 'no disk', false]);
    await query.settle(Promise.resolve(1));
    expect(query.problem).toBeNull();
  });
});
