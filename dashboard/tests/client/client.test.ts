import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Connection,
  pageTime,
  type StreamMessage,
  StreamClient,
  streamUrl,
} from 'mimamba-client';
import { ScriptedService, openSocket, prediction, signal, subscribed } from '../service';

let service: ScriptedService;
let client: StreamClient;
let messages: StreamMessage[];
let connections: Connection[];
/** Seconds from each loss to the next attempt. */
let delays: number[];

const until = (condition: () => void): Promise<void> =>
  vi.waitFor(condition, { timeout: 20_000, interval: 5 });
const subscribedTimes = (count: number) =>
  until(() => expect(service.subscriptions()).toHaveLength(count));
const received = (type: string, count: number) =>
  until(() => expect(messages.filter((message) => message.type === type)).toHaveLength(count));
const connected = (count: number) => until(() => expect(service.connections).toBe(count));

beforeEach(async () => {
  service = await ScriptedService.start();
  messages = [];
  connections = [];
  delays = [];
  client = new StreamClient(
    service.url,
    {
      message: (message) => messages.push(message),
      connection: (connection) => {
        connections.push(connection);
        if (connection.phase === 'waiting') delays.push(connection.until - pageTime());
      },
    },
    openSocket,
    0.01,
  );
});

afterEach(async () => {
  vi.useRealTimers();
  client.stop();
  await service.stop();
});

async function connect(): Promise<void> {
  client.start();
  await connected(1);
  service.hello();
  await received('hello', 1);
}

describe('StreamClient', () => {
  it('sends its token where the service asks for one', async () => {
    client.token = 'abc';
    client.start();
    await connected(1);
    service.requireLogin();
    await until(() => expect(service.received).toContainEqual({ type: 'auth', token: 'abc' }));
    expect(connections.at(-1)).toEqual({ phase: 'connecting' });
    service.hello();
    await received('hello', 1);
    service.close(4401, 'no');
    await until(() => expect(connections.at(-1)).toEqual({ phase: 'locked', why: 'no' }));
  });

  it('asks for the whole log the first time', async () => {
    client.follow('a', ['signal', 'link']);
    await connect();
    await subscribedTimes(1);
    expect(service.subscriptions()[0]).toMatchObject({
      session: 'a',
      topics: ['signal', 'link'],
      since: { epoch: '', seq: {} },
    });
    expect(connections.map(({ phase }) => phase)).toEqual(['connecting', 'connected']);
  });

  it('resumes after the last entries', async () => {
    client.follow('a', ['signal', 'prediction', 'marker']);
    await connect();
    await subscribedTimes(1);
    service.send(subscribed('a', 'e1', { signal: 5, prediction: 0, marker: 7 }));
    service.send(signal('a', 5, 0), signal('a', 9, 8), prediction('a', 0, 1, 0.7));
    await received('prediction', 1);
    service.cut();
    await connected(2);
    service.hello();
    await subscribedTimes(2);
    expect(service.subscriptions()[1]).toMatchObject({
      since: { epoch: 'e1', seq: { signal: 9, prediction: 0, marker: 6 } },
    });
    const waiting = connections.find(({ phase }) => phase === 'waiting');
    expect(waiting).toMatchObject({ why: 'no connection to the service' });
  });

  it('passes on every entry once, even if it is sent twice', async () => {
    client.follow('a', ['signal']);
    await connect();
    await subscribedTimes(1);
    service.send(subscribed('a', 'e1'), signal('a', 1, 0), signal('a', 2, 2));
    service.send(signal('a', 1, 0), signal('a', 2, 2), signal('a', 3, 4));
    service.send({ type: 'heartbeat', clock: { lsl: 0, unix: 0 } });
    await received('heartbeat', 1);
    const firsts = messages.flatMap((m) => (m.type === 'signal' ? [m.first] : []));
    expect(firsts).toEqual([0, 2, 4]);
  });

  it('counts from 0 in another epoch', async () => {
    client.follow('a', ['signal']);
    await connect();
    await subscribedTimes(1);
    service.send(subscribed('a', 'e1'), signal('a', 8, 0));
    service.send(subscribed('a', 'e2'), signal('a', 0, 0));
    await received('signal', 2);
    service.cut();
    await connected(2);
    service.hello();
    await subscribedTimes(2);
    expect(service.subscriptions()[1]).toMatchObject({
      since: { epoch: 'e2', seq: { signal: 0 } },
    });
  });

  it('asks for the whole log of a new topic', async () => {
    client.follow('a', ['link']);
    await connect();
    await subscribedTimes(1);
    service.send(subscribed('a', 'e1', { link: 0 }));
    await received('subscribed', 1);
    client.follow('a', ['link', 'signal']);
    await subscribedTimes(2);
    expect(service.subscriptions()[1]).toMatchObject({
      topics: ['link', 'signal'],
      since: { epoch: '', seq: {} },
    });
    service.send(subscribed('a', 'e1', { link: 0, signal: 3 }), signal('a', 3, 0));
    await received('signal', 1);
    client.follow('a', ['link']);
    await until(() =>
      expect(service.received.at(-1)).toEqual({
        type: 'unsubscribe',
        session: 'a',
        topics: ['signal'],
      }),
    );
    client.follow('a', ['link', 'signal']);
    await subscribedTimes(3);
    expect(service.subscriptions()[2]).toMatchObject({
      since: { epoch: 'e1', seq: { link: -1, signal: 3 } },
    });
  });

  it('waits for a session that is not open, and for none that was forgotten', async () => {
    for (const session of ['a', 'b']) client.follow(session, ['link']);
    await connect();
    await subscribedTimes(2);
    for (const id of ['a', 'b'])
      service.send({ type: 'error', code: 'no_session', message: 'not open', id });
    await received('error', 2);
    client.forget('b');
    for (const session of ['b', 'a', 'a'])
      service.send({ type: 'session', session, state: 'opened', reason: null });
    await subscribedTimes(3);
    await received('session', 3);
    expect(service.subscriptions().map(({ session }) => session)).toEqual(['a', 'b', 'a']);
  });

  it('subscribes again to a session that was not open yet', async () => {
    client.follow('a', ['link']);
    await connect();
    await subscribedTimes(1);
    service.send({ type: 'error', code: 'no_session', message: 'not open', id: 'a' });
    await received('error', 1);
    client.follow('a', ['link']);
    await subscribedTimes(2);
  });

  it('follows a session again that was closed and opens again, from its start', async () => {
    client.follow('a', ['link']);
    await connect();
    await subscribedTimes(1);
    service.send(subscribed('a', 'e1', { link: 3 }));
    for (const state of ['closed', 'opened', 'closed'])
      service.send({ type: 'session', session: 'a', state, reason: null });
    await subscribedTimes(2);
    const again = { session: 'a', topics: ['link'], since: { epoch: '', seq: {} } };
    expect(service.subscriptions()[1]).toMatchObject(again);
    await received('session', 3);
    client.forget('a');
    service.send({ type: 'session', session: 'a', state: 'opened', reason: null });
    await received('session', 4);
    client.follow('b', ['link']);
    await subscribedTimes(3);
    expect(service.subscriptions()[2]).toMatchObject({ session: 'b' });
  });

  it('passes on skipped entries', async () => {
    client.follow('a', ['signal']);
    await connect();
    await subscribedTimes(1);
    service.send(subscribed('a', 'e1'));
    service.send({ type: 'skipped', session: 'a', topic: 'signal', from: 0, to: 9 });
    service.send(signal('a', 12, 100));
    await received('signal', 1);
    expect(messages.find((m) => m.type === 'skipped')).toMatchObject({ from: 0, to: 9 });
  });

  it('rejects a service with another protocol', async () => {
    client.start();
    await connected(1);
    service.hello('mimamba.v2');
    await until(() => expect(connections.at(-1)?.phase).toBe('waiting'));
    expect(connections.at(-1)).toMatchObject({
      why: 'the service uses protocol mimamba.v2, this page mimamba.v1. Reload the page',
    });
  });

  it('reconnects after an invalid frame', async () => {
    await connect();
    service.sendText('{}');
    await connected(2);
  });

  it('doubles the delay after each failed attempt, up to ten seconds', async () => {
    vi.useFakeTimers({ toFake: ['performance'] }); // stands still between a loss and its report
    await service.stop();
    client.start();
    await until(() => expect(delays.length).toBeGreaterThan(3));
    delays.slice(0, 4).forEach((delay, i) => expect(delay).toBeCloseTo(0.01 * 2 ** i, 2));
  });

  it('reconnects if the service stops responding', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    await connect();
    vi.advanceTimersByTime(4000);
    expect(connections.at(-1)?.phase).toBe('connected');
    await until(() =>
      expect(service.received.filter(({ type }) => type === 'ping')).toHaveLength(3),
    );
    vi.advanceTimersByTime(2000);
    expect(connections.at(-1)).toMatchObject({
      phase: 'waiting',
      why: 'the service stopped responding',
    });
  });

  it('stops reconnecting until a login', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    client.follow('a', ['link']);
    client.start();
    await connected(1);
    service.requireLogin();
    await until(() => expect(connections.at(-1)).toEqual({ phase: 'locked', why: '' }));
    vi.advanceTimersByTime(60_000);
    expect(connections).toHaveLength(2);
    expect(service.received).toEqual([]);
    client.unlock();
    await connected(2);
    service.hello();
    await subscribedTimes(1);
    expect(connections.at(-1)?.phase).toBe('connected');
  });

  it('reports that a login has ended', async () => {
    await connect();
    service.close(4401, 'log in again');
    const why = 'log in again';
    await until(() => expect(connections.at(-1)).toEqual({ phase: 'locked', why }));
    client.unlock();
    await connected(2);
    service.requireLogin(); // like a restarted service
    await until(() =>
      expect(connections.at(-1)).toEqual({ phase: 'locked', why: 'your login has ended' }),
    );
  });

  it('reports nothing after it was stopped', async () => {
    await connect();
    client.stop();
    const before = connections.length;
    service.cut();
    client.start();
    await connected(2);
    expect(connections.slice(before).map(({ phase }) => phase)).toEqual(['connecting']);
  });
});

describe('streamUrl', () => {
  it.each([
    ['http://127.0.0.1:8765', 'ws://127.0.0.1:8765/v1/stream'],
    ['https://eeg.example/lab', 'wss://eeg.example/lab/v1/stream'],
    ['https://eeg.example/lab/', 'wss://eeg.example/lab/v1/stream'],
  ])('of %s is %s', (service, stream) => expect(streamUrl(service)).toBe(stream));
});
