import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { pageTime } from '../../src/connection/clock';
import { LoginNeeded, Unavailable } from '../../src/requests/rest';
import { Dashboard } from '../../src/state/dashboard.svelte';
import type { Listed } from '../../src/state/session.svelte';
import { ScriptedService, info, model, openSocket, signal, subscribed } from '../service';

let service: ScriptedService;
let dashboard: Dashboard;
let listed: Listed[];
let refused: Error | null;
let shown: string[];

const until = (condition: () => void): Promise<void> =>
  vi.waitFor(condition, { timeout: 20_000, interval: 5 });

const listing = (id: string, change: Partial<Listed> = {}): Listed => ({
  id,
  state: 'open',
  reason: null,
  source: 'simulate://',
  info,
  model,
  outputs: { valence: ['low', 'high'] },
  montage: null,
  delay: 0.1,
  link: { timestamp: 0, event: 'connected', detail: '' },
  seekable: false,
  person: null,
  ...change,
});

beforeEach(async () => {
  service = await ScriptedService.start();
  listed = [listing('a'), listing('b')];
  refused = null;
  shown = [];
  dashboard = new Dashboard({
    streamUrl: service.url,
    listSessions: () => (refused ? Promise.reject(refused) : Promise.resolve(listed)),
    logIn: (token) => {
      shown.push(token);
      return token === 'right' ? Promise.resolve() : Promise.reject(new Error('another token'));
    },
    logOut: () => Promise.resolve(void shown.push('out')),
    open: openSocket,
  });
});

afterEach(async () => {
  dashboard.stop();
  await service.stop();
});

async function start(wish: string | null): Promise<void> {
  dashboard.start(wish);
  await until(() => expect(service.connections).toBe(1));
  service.hello();
  await until(() => expect(dashboard.sessions).toHaveLength(listed.length));
}

const topics = (): [string, number][] =>
  service.subscriptions().map(({ session, topics }) => [session, topics.length]);

describe('Dashboard', () => {
  it('follows all of the session in focus, and the link of the others', async () => {
    await start('b');
    expect(dashboard.focus?.id).toBe('b');
    await until(() =>
      expect(topics()).toEqual([
        ['a', 1],
        ['b', 6],
      ]),
    );
    dashboard.choose('a');
    await until(() => expect(topics().at(-1)).toEqual(['a', 6]));
    expect(service.heard).toContainEqual({
      type: 'unsubscribe',
      session: 'b',
      topics: ['prediction', 'quality', 'bands', 'signal', 'marker'],
    });
  });

  it('takes the first open session where the wished one is not there', async () => {
    listed = [listing('a', { state: 'ended' }), listing('b')];
    await start('nobody');
    expect(dashboard.focus?.id).toBe('b');
  });

  it('fetches the list when a session is opened or closed', async () => {
    await start(null);
    const kept = dashboard.sessions[0];
    listed = [listing('a'), listing('c', { state: 'opening', info: null, link: null })];
    service.send({ type: 'session', session: 'c', state: 'opened', reason: null });
    await until(() => expect(dashboard.sessions.map(({ id }) => id)).toEqual(['a', 'c']));
    expect(dashboard.sessions[0]).toBe(kept);
    expect(topics().map(([session]) => session)).not.toContain('c');
    listed = [listing('a'), listing('c')];
    service.send({ type: 'session', session: 'c', state: 'opened', reason: null });
    await until(() => expect(topics()).toContainEqual(['c', 1]));
  });

  it('fetches the list when a baseline may have made it another person’s session', async () => {
    await start('a');
    await until(() => expect(topics()).toContainEqual(['a', 6]));
    listed = [listing('a', { person: 'P01' })];
    service.send(subscribed('a', 'e1'), {
      ...{ type: 'link', session: 'a', seq: 0, timestamp: 0, event: 'baseline_begun' },
      ...{ detail: '60 s of rest are being taken', first: 0, lost: null },
    });
    await until(() => {
      dashboard.publish();
      expect(dashboard.focus?.view.person).toBe('P01');
    });
  });

  it('tells how a session ended', async () => {
    await start('a');
    service.send({ type: 'session', session: 'a', state: 'ended', reason: 'The file is over.' });
    await until(() => {
      dashboard.publish();
      expect(dashboard.focus?.view).toMatchObject({ ended: true, endReason: 'The file is over.' });
    });
  });

  it('is locked until a right token is shown', async () => {
    dashboard.start(null);
    await until(() => expect(service.connections).toBe(1));
    service.ask();
    await until(() => expect(dashboard.connection).toEqual({ phase: 'locked', why: '' }));
    await expect(dashboard.logIn('wrong')).rejects.toThrow('another token');
    expect(dashboard.connection.phase).toBe('locked');
    await dashboard.logIn('right');
    await until(() => expect(service.connections).toBe(2));
    service.hello();
    await until(() => expect(dashboard.sessions).toHaveLength(2));
    expect(dashboard.loggedIn).toBe(true);
    await dashboard.logOut();
    expect(shown).toEqual(['wrong', 'right', 'out']);
    expect(dashboard.connection).toEqual({ phase: 'locked', why: '' });
  });

  it('is locked where the list of sessions asks for a token', async () => {
    refused = new LoginNeeded('wanted a token');
    dashboard.start(null);
    await until(() => expect(service.connections).toBe(1));
    service.hello();
    await until(() =>
      expect(dashboard.connection).toEqual({ phase: 'locked', why: 'the login has ended' }),
    );
    expect(dashboard.problem).toBeNull();
  });

  it('raises no alarm over a list that did not come because the service ends', async () => {
    await start('a');
    refused = new TypeError('Failed to fetch');
    service.send({ type: 'session', session: 'b', state: 'closed', reason: null });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(dashboard.problem).toBeNull();
    service.close(1012, '');
    await until(() => expect(dashboard.connection.phase).toBe('waiting'));
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect(dashboard.problem).toBeNull();
  });

  it('says that the service ends where that takes long', async () => {
    await start('a');
    refused = new Unavailable('the service is ending');
    service.send({ type: 'session', session: 'b', state: 'closed', reason: null });
    await until(() => expect(dashboard.problem).toMatch(/^The service is ending\. This page con/));
    service.close(1012, '');
    await until(() => expect(dashboard.connection.phase).toBe('waiting'));
    expect(dashboard.problem).toBeNull();
  });

  it('says so where the list does not come though the service is there', async () => {
    refused = new Error('the disk is full');
    dashboard.start(null);
    await until(() => expect(service.connections).toBe(1));
    service.hello();
    await until(() =>
      expect(dashboard.problem).toBe('The list of sessions did not come: the disk is full'),
    );
    service.cut();
    await until(() => expect(dashboard.problem).toBeNull());
  });

  it('says what the service refused, but not of sessions that are gone', async () => {
    await start('a');
    service.send({ type: 'error', code: 'no_session', message: 'gone', id: 'z' });
    service.send({ type: 'error', code: 'bad_message', message: 'what?' });
    await until(() => expect(dashboard.problem).toBe('what?'));
  });

  it('knows how old a live sample is by its stamp, a replayed one by its arrival', async () => {
    await start('a');
    await until(() => expect(topics()).toContainEqual(['a', 6]));
    service.send(subscribed('a', 'e1'), signal('a', 0, 0, 2, -99));
    await until(() => {
      dashboard.publish();
      expect(dashboard.focus?.view.latestIndex).toBe(1);
    });
    const session = dashboard.focus!;
    expect(dashboard.age(session)).toBeGreaterThan(99); // hello said that the clock was at 1 s
    dashboard.drawn(session);
    dashboard.time = pageTime();
    expect(dashboard.latency(session)).toBeGreaterThan(99);
    dashboard.time += 3;
    expect(dashboard.latency(session)).toBeNull(); // nothing was drawn lately
    dashboard.time -= 3;
    session.view = { ...session.view, info: { ...info, live: false } };
    expect(dashboard.age(session)).toBeLessThan(90);
  });
});
