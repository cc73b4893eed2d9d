import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Connection, StreamClient } from '../../src/connection/client';
import { pageTime } from '../../src/connection/clock';
import type { ServerMessage } from '../../src/connection/protocol';
import { ScriptedService, openSocket, prediction, signal, subscribed } from '../service';

let service: ScriptedService;
let client: StreamClient;
let messages: ServerMessage[];
let connections: Connection[];
/** Seconds from each loss to the next try. */
let delays: number[];

const until = (condition: () => void): Promise<void> =>
  vi.waitFor(condition, { timeout: 20_000, interval: 5 });
const heard = (count: number) => until(() => expect(service.subscriptions()).toHaveLength(count));
const came = (type: string, count: number) =>
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

async function greet(): Promise<void> {
  client.start();
  await connected(1);
  service.hello();
  await came('hello', 1);
}

describe('StreamClient', () => {
  it('asks for the whole of the logs the first time', async () => {
    client.follow('a', ['signal', 'link']);
    await greet();
    await heard(1);
    expect(service.subscriptions()[0]).toMatchObject({
      session: 'a',
      topics: ['signal', 'link'],
      since: { epoch: '', seq: {} },
    });
    expect(connections.map(({ phase }) => phase)).toEqual(['connecting', 'connected']);
  });

  it('goes on after the last entries when the connection was cut', async () => {
    client.follow('a', ['signal', 'prediction', 'marker']);
    await greet();
    await heard(1);
    service.send(subscribed('a', 'e1', { signal: 5, prediction: 0, marker: 7 }));
    service.send(signal('a', 5, 0), signal('a', 9, 8), prediction('a', 0, 1, 0.7));
    await came('prediction', 1);
    service.cut();
    await connected(2);
    service.hello();
    await heard(2);
    expect(service.subscriptions()[1]).toMatchObject({
      since: { epoch: 'e1', seq: { signal: 9, prediction: 0, marker: 6 } },
    });
    const waiting = connections.find(({ phase }) => phase === 'waiting');
    expect(waiting).toMatchObject({ why: 'no connection to the service' });
  });

  it('hands on every entry once, whatever is sent twice', async () => {
    client.follow('a', ['signal']);
    await greet();
    await heard(1);
    service.send(subscribed('a', 'e1'), signal('a', 1, 0), signal('a', 2, 2));
    service.send(signal('a', 1, 0), signal('a', 2, 2), signal('a', 3, 4));
    service.send({ type: 'heartbeat', clock: { lsl: 0, unix: 0 } });
    await came('heartbeat', 1);
    const firsts = messages.flatMap((m) => (m.type === 'signal' ? [m.first] : []));
    expect(firsts).toEqual([0, 2, 4]);
  });

  it('starts to count anew in another epoch', async () => {
    client.follow('a', ['signal']);
    await greet();
    await heard(1);
    service.send(subscribed('a', 'e1'), signal('a', 8, 0));
    service.send(subscribed('a', 'e2'), signal('a', 0, 0));
    await came('signal', 2);
    service.cut();
    await connected(2);
    service.hello();
    await heard(2);
    expect(service.subscriptions()[1]).toMatchObject({
      since: { epoch: 'e2', seq: { signal: 0 } },
    });
  });

  it('asks for all of a topic that it did not follow before', async () => {
    client.follow('a', ['link']);
    await greet();
    await heard(1);
    service.send(subscribed('a', 'e1', { link: 0 }));
    await came('subscribed', 1);
    client.follow('a', ['link', 'signal']);
    await heard(2);
    expect(service.subscriptions()[1]).toMatchObject({
      topics: ['link', 'signal'],
      since: { epoch: '', seq: {} },
    });
    service.send(subscribed('a', 'e1', { link: 0, signal: 3 }), signal('a', 3, 0));
    await came('signal', 1);
    client.follow('a', ['link']);
    await until(() =>
      expect(service.heard.at(-1)).toEqual({
        type: 'unsubscribe',
        session: 'a',
        topics: ['signal'],
      }),
    );
    client.follow('a', ['link', 'signal']);
    await heard(3);
    expect(service.subscriptions()[2]).toMatchObject({
      since: { epoch: 'e1', seq: { link: -1, signal: 3 } },
    });
  });

  it('hands on what it was too slow for', async () => {
    client.follow('a', ['signal']);
    await greet();
    await heard(1);
    service.send(subscribed('a', 'e1'));
    service.send({ type: 'skipped', session: 'a', topic: 'signal', from: 0, to: 9 });
    service.send(signal('a', 12, 100));
    await came('signal', 1);
    expect(messages.find((m) => m.type === 'skipped')).toMatchObject({ from: 0, to: 9 });
  });

  it('gives up a service of another protocol, and says so', async () => {
    client.start();
    await connected(1);
    service.hello('mimamba.v2');
    await until(() => expect(connections.at(-1)?.phase).toBe('waiting'));
    expect(connections.at(-1)).toMatchObject({
      why: 'the service speaks mimamba.v2, this page mimamba.v1: reload the page',
    });
  });

  it('connects again after a frame that it cannot read', async () => {
    await greet();
    service.sendText('{}');
    await connected(2);
  });

  it('waits twice as long each time that nobody answers, up to ten seconds', async () => {
    vi.useFakeTimers({ toFake: ['performance'] }); // stands still between a loss and its telling
    await service.stop();
    client.start();
    await until(() => expect(delays.length).toBeGreaterThan(3));
    delays.slice(0, 4).forEach((delay, i) => expect(delay).toBeCloseTo(0.01 * 2 ** i, 2));
  });

  it('takes a service that falls silent for lost', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    await greet();
    vi.advanceTimersByTime(4000);
    expect(connections.at(-1)?.phase).toBe('connected');
    await until(() => expect(service.heard.filter(({ type }) => type === 'ping')).toHaveLength(3));
    vi.advanceTimersByTime(2000);
    expect(connections.at(-1)).toMatchObject({ phase: 'waiting', why: 'the service fell silent' });
  });

  it('tries no more where a token is asked for, until somebody logs in', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    client.follow('a', ['link']);
    client.start();
    await connected(1);
    service.ask();
    await until(() => expect(connections.at(-1)).toEqual({ phase: 'locked', why: '' }));
    vi.advanceTimersByTime(60_000);
    expect(connections).toHaveLength(2);
    expect(service.heard).toEqual([]);
    client.unlock();
    await connected(2);
    service.hello();
    await heard(1);
    expect(connections.at(-1)?.phase).toBe('connected');
  });

  it('says so when a login ends while it is open', async () => {
    await greet();
    service.close(4401, 'the login has ended; log in again');
    const why = 'the login has ended; log in again';
    await until(() => expect(connections.at(-1)).toEqual({ phase: 'locked', why }));
    client.unlock();
    await connected(2);
    service.ask(); // as a service that was started anew does
    await until(() =>
      expect(connections.at(-1)).toEqual({ phase: 'locked', why: 'the login has ended' }),
    );
  });

  it('says nothing more once it is stopped', async () => {
    await greet();
    client.stop();
    const before = connections.length;
    service.cut();
    client.start();
    await connected(2);
    expect(connections.slice(before).map(({ phase }) => phase)).toEqual(['connecting']);
  });
});
