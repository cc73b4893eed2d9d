import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pageTime } from 'mimamba-client';
import type { Push, Samples } from 'mimamba-client';
import { Outbox } from '../../src/push/outbox';
import { Pusher } from '../../src/push/pusher';
import { ScriptedService, info, openSocket } from '../service';

type Received = Push | Samples | { type: 'ping'; t: number };

const push: Push = { type: 'push', stream: 'a stream of this test', info, model: 'none' };
let service: ScriptedService;
let pusher: Pusher;
let outbox: Outbox;
let ticker: ReturnType<typeof setInterval>;
let answering: ReturnType<typeof setInterval>;
let told: string[];
/** What the service has taken. */
let taken: Samples[];
/** False if the service takes samples without acknowledging them. */
let acks = true;

const received = (): Received[] => service.received as unknown as Received[];
const until = async (condition: () => boolean): Promise<void> => {
  const end = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error('it did not come true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

/** Answer what has come, as the service does. */
function answer(): void {
  for (const message of received().splice(0)) {
    if (message.type === 'ping')
      service.send({ type: 'pong', t: message.t, clock: { lsl: message.t + 1000, unix: 0 } });
    if (message.type === 'push')
      service.send({ type: 'pushing', session: 's', stream: message.stream, next: taken.length });
    if (message.type === 'samples' && message.seq === taken.length) {
      taken.push(message);
      if (acks) service.send({ type: 'ack', session: 's', seq: message.seq });
    }
  }
}

const put = (first: number): void =>
  outbox.put({ first, timestamps: Float64Array.of(first), data: Float32Array.of(first, -first) });

beforeEach(async () => {
  [service, told, taken, acks] = [await ScriptedService.start(), [], [], true];
  outbox = new Outbox(256, () => pusher?.send());
  pusher = new Pusher(
    service.url,
    push,
    outbox,
    {
      opened: (session) => told.push(`opened ${session}`),
      interrupted: () => told.push('interrupted'),
      over: (refusal) => told.push(refusal ?? 'delivered'),
    },
    openSocket,
  );
  let greeted = 0;
  ticker = setInterval(() => pusher.tick(pageTime()), 10);
  answering = setInterval(() => {
    if (service.connections > greeted) {
      greeted = service.connections;
      service.hello();
    }
    answer();
  }, 5);
});

afterEach(async () => {
  clearInterval(ticker);
  clearInterval(answering);
  pusher.stop();
  await service.stop();
});

describe('Pusher', () => {
  it('delivers every sample once, over lost connections', async () => {
    put(0);
    await until(() => taken.length === 1);
    acks = false;
    for (let k = 1; k < 20; k++) put(k);
    await until(() => taken.length >= 5);
    service.cut();
    for (let k = 20; k < 40; k++) put(k);
    acks = true;
    await until(() => taken.length === 40);
    outbox.finish();
    await until(() => told.includes('delivered'));
    expect(taken.map(({ seq, first }) => [seq, first])).toEqual(
      Array.from({ length: 41 }, (_, k) => [k, k]),
    );
    expect(taken.at(-1)!.ends).toBe(true);
    expect(taken[0]!.offset).toBeCloseTo(1000, 1);
    expect(told).toEqual(['opened s', 'interrupted', 'opened s', 'delivered']);
  });

  it('ends when the service refuses', async () => {
    put(0);
    await until(() => taken.length === 1);
    service.send({
      type: 'error',
      code: 'session_over',
      message: 'The session was closed.',
      id: 1,
    });
    await until(() => told.length === 2);
    expect(told).toEqual(['opened s', 'The session was closed.']);
  });
});
