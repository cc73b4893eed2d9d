import { expect, it } from 'vitest';
import type { Recording, Upload } from '../../src/requests/recordings';
import { UploadQueue } from '../../src/state/upload_queue.svelte';
import { recording } from '../service';

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

interface Sent {
  file: File;
  person: string | null;
  report: (share: number) => void;
  finish: (made: Recording) => void;
  fail: (error: Error) => void;
}

/** A queue whose uploads end when a test says so. */
function started(): { queue: UploadQueue; sent: Sent[] } {
  const sent: Sent[] = [];
  const queue = new UploadQueue((file, person, report): Upload => {
    let fail = (_: Error): void => undefined;
    const done = new Promise<Recording>((finish, reject) => {
      fail = reject;
      sent.push({ file, person, report, finish, fail });
    });
    return { done, cancel: () => fail(new Error('the upload was cancelled')) };
  });
  return { queue, sent };
}
const named = (name: string): File => new File(['x'], name);

it('sends one file after the other, and an error stops no other', async () => {
  const { queue, sent } = started();
  queue.add([named('a.edf'), named('b.edf')], 'P01');
  queue.add([named('c.edf')], null);
  expect(sent.map(({ file, person }) => [file.name, person])).toEqual([['a.edf', 'P01']]);
  sent[0]!.report(0.25);
  expect(queue.items.map(({ state, share }) => [state, share])).toEqual([
    ['sending', 0.25],
    ['waiting', 0],
    ['waiting', 0],
  ]);
  sent[0]!.fail(new Error('no known format'));
  await settled();
  sent[1]!.finish(recording({ name: 'b' }));
  await settled();
  expect(queue.items[0]!.problem).toBe('no known format');
  expect([queue.items[1]!.recording?.name, queue.stored, queue.left]).toEqual(['b', 1, 1]);
  expect(sent[2]!.file.name).toBe('c.edf');
  queue.retry(queue.items[0]!);
  sent[2]!.finish(recording({}));
  await settled();
  expect(sent[3]!.file.name).toBe('a.edf');
  sent[3]!.finish(recording({}));
  await settled();
  expect(queue.left).toBe(0);
  queue.add([named('d.edf')], null);
  expect(queue.items).toHaveLength(1); // the others are done
});

it('cancels a file, or all', async () => {
  const { queue, sent } = started();
  queue.add([named('a'), named('b'), named('c'), named('d')], null);
  queue.cancel(queue.items[1]!);
  queue.cancel(queue.items[0]!);
  await settled();
  expect(sent.map(({ file }) => file.name)).toEqual(['a', 'c']);
  queue.cancelAll();
  await settled();
  expect(sent).toHaveLength(2);
  expect(queue.items.map(({ problem }) => problem)).toEqual(
    Array(4).fill('the upload was cancelled'),
  );
});
