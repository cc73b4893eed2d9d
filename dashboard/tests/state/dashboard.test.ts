import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { pageTime } from 'mimamba-client';
import { LoginRequired, NoResponse, ServiceUnavailable } from '../../src/requests/rest';
import type { ListedSession } from '../../src/requests/sessions';
import { Dashboard } from '../../src/state/dashboard.svelte';
import { progress } from '../calibration/examples';
import { ScriptedService, info, model, openSocket, signal, subscribed } from '../service';

let service: ScriptedService;
let dashboard: Dashboard;
let listed: ListedSession[];
/** Error of the next list of sessions, or null. */
let failure: Error | null;
/** The reason why the service cannot record, or the error of the request. */
let problem: string | Error | null;
/** False if logins with a code get no response. */
let answers: boolean;
/** Logins and logouts. */
let logins: string[];

const until = (condition: () => void): Promise<void> =>
  vi.waitFor(condition, { timeout: 20_000, interval: 5 });

const listing = (id: string, change: Partial<ListedSession> = {}): ListedSession => ({
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
  battery: null,
  person: null,
  title: null,
  ...change,
});

beforeEach(async () => {
  service = await ScriptedService.start();
  listed = [listing('a'), listing('b')];
  failure = null;
  problem = null;
  logins = [];
  answers = true;
  dashboard = new Dashboard({
    streamUrl: service.url,
    listSessions: () => (failure ? Promise.reject(failure) : Promise.resolve(listed)),
    readiness: () =>
      problem instanceof Error
        ? Promise.reject(problem)
        : Promise.resolve({ problem, gateway: problem !== null }),
    logIn: (token) => {
      logins.push(token);
      return token === 'right' ? Promise.resolve() : Promise.reject(new Error('another token'));
    },
    logInWithCode: (code) => {
      logins.push(`code ${code}`);
      if (!answers) return Promise.reject(new NoResponse('no network'));
      return code === 'right' ? Promise.resolve() : Promise.reject(new Error('another code'));
    },
    logOut: () => Promise.resolve(void logins.push('out')),
    open: openSocket,
  });
});

afterEach(async () => {
  dashboard.stop();
  await service.stop();
});

async function start(session: string | null): Promise<void> {
  dashboard.setFocus(session);
  dashboard.start();
  await until(() => expect(service.connections).toBe(1));
  service.hello();
  await until(() => expect(dashboard.sessions).toHaveLength(listed.length));
}

const topics = (): [string, number][] =>
  service.subscriptions().map(({ session, topics }) => [session, topics.length]);

describe('Dashboard', () => {
  it('subscribes to all topics of the session in focus, and to the link of the others', async () => {
    await start('b');
    expect(dashboard.focus?.id).toBe('b');
    await until(() =>
      expect(topics()).toEqual([
        ['a', 1],
        ['b', 11],
      ]),
    );
    dashboard.setFocus('a');
    await until(() => expect(topics().at(-1)).toEqual(['a', 11]));
    expect(service.received).toContainEqual({
      type: 'unsubscribe',
      session: 'b',
      topics: [
        'prediction',
        'quality',
        'bands',
        'signal',
        'marker',
        'heart',
        'calibration',
        'rating',
        'study',
        'feedback',
      ],
    });
  });

  it('shows the person of a calibration that begins', async () => {
    await start('a');
    service.send(subscribed('a', 'e1'));
    listed = [listing('a', { person: 'P01' }), listing('b')];
    const step = { type: 'calibration', session: 'a', seq: 0, index: 0, timestamp: 0, id: 'c1' };
    service.send({ ...step, progress: progress() });
    await until(() => expect(dashboard.focus?.snapshot.person).toBe('P01'));
    expect(dashboard.focus?.snapshot.calibration?.id).toBe('c1');
  });

  it('asks at each connection why the service cannot record', async () => {
    await start('a');
    expect(dashboard.recordingProblem).toBeNull();
    problem = new Error('no');
    service.cut();
    await until(() => expect(service.connections).toBe(2));
    service.hello();
    await until(() => expect(dashboard.connection.phase).toBe('connected'));
    problem = 'Cannot write a recording to /data: Permission denied.';
    service.cut();
    await until(() => expect(service.connections).toBe(3));
    service.hello();
    await until(() => expect(dashboard.recordingProblem).toBe(problem));
    expect(dashboard.gateway).toBe(true);
  });

  it('asks again while the service is not ready', async () => {
    problem = new ServiceUnavailable('The model demo is loading.');
    await start('a');
    problem = 'Cannot write a recording to /data: Permission denied.';
    await until(() => expect(dashboard.recordingProblem).toBe(problem));
  });

  it('focuses the first open session if the wanted one does not exist', async () => {
    listed = [listing('a', { state: 'ended' }), listing('b')];
    await start('missing');
    expect(dashboard.focus?.id).toBe('b');
  });

  it('reloads the list when a session is opened or closed', async () => {
    await start(null);
    const known = dashboard.sessions[0];
    listed = [listing('a'), listing('c', { state: 'opening', info: null, link: null })];
    service.send({ type: 'session', session: 'c', state: 'opened', reason: null });
    await until(() => expect(dashboard.sessions.map(({ id }) => id)).toEqual(['a', 'c']));
    expect(dashboard.sessions[0]).toBe(known);
    expect(topics().map(([session]) => session)).not.toContain('c');
    listed = [listing('a'), listing('c')];
    service.send({ type: 'session', session: 'c', state: 'opened', reason: null });
    await until(() => expect(topics()).toContainEqual(['c', 1]));
  });

  it('reloads the list when a baseline may have set the person', async () => {
    await start('a');
    await until(() => expect(topics()).toContainEqual(['a', 11]));
    listed = [listing('a', { person: 'P01' })];
    service.send(subscribed('a', 'e1'), {
      ...{ type: 'link', session: 'a', seq: 0, timestamp: 0, event: 'baseline_begun' },
      ...{ detail: 'taking a 60 s baseline', first: 0, lost: null },
    });
    await until(() => {
      dashboard.publish();
      expect(dashboard.focus?.snapshot.person).toBe('P01');
    });
  });

  it('shows how a session ended', async () => {
    await start('a');
    service.send({
      type: 'session',
      session: 'a',
      state: 'ended',
      reason: 'The recording has ended.',
    });
    await until(() => {
      dashboard.publish();
      expect(dashboard.focus?.snapshot).toMatchObject({
        ended: true,
        endReason: 'The recording has ended.',
      });
    });
  });

  it('is locked until a login', async () => {
    dashboard.start();
    await until(() => expect(service.connections).toBe(1));
    service.requireLogin();
    await until(() => expect(dashboard.connection).toEqual({ phase: 'locked', why: '' }));
    await expect(dashboard.logIn('wrong')).rejects.toThrow('another token');
    expect(dashboard.connection.phase).toBe('locked');
    await dashboard.logIn('right');
    await until(() => expect(service.connections).toBe(2));
    service.hello();
    await until(() => expect(dashboard.sessions).toHaveLength(2));
    expect(dashboard.loggedIn).toBe(true);
    await dashboard.logOut();
    expect(logins).toEqual(['wrong', 'right', 'out']);
    expect(dashboard.connection).toEqual({ phase: 'locked', why: '' });
  });

  it('uses a one-time code where a login is required, and only there', async () => {
    dashboard.useCode('wrong');
    dashboard.start();
    await until(() => expect(service.connections).toBe(1));
    service.requireLogin();
    const refused = { phase: 'locked', why: 'another code' };
    await until(() => expect(dashboard.connection).toEqual(refused));
    expect(dashboard.unsentCode).toBeNull();
    answers = false;
    dashboard.useCode('right');
    await until(() => expect(dashboard.connection).toEqual({ phase: 'locked', why: 'no network' }));
    expect(dashboard.unsentCode).toBe('right'); // the page's address does not have it any more
    answers = true;
    await dashboard.redeem('right');
    await until(() => expect(service.connections).toBe(2));
    service.hello();
    await until(() => expect(dashboard.connection.phase).toBe('connected'));
    expect(dashboard.unsentCode).toBeNull();
    dashboard.useCode('spare');
    await dashboard.logOut();
    expect(logins).toEqual(['code wrong', 'code right', 'code right', 'out']);
  });

  it('is locked if the list of sessions requires a login', async () => {
    failure = new LoginRequired('login required');
    dashboard.start();
    await until(() => expect(service.connections).toBe(1));
    service.hello();
    await until(() =>
      expect(dashboard.connection).toEqual({ phase: 'locked', why: 'your login has ended' }),
    );
    expect(dashboard.problem).toBeNull();
  });

  it('shows no error if the list fails while the service shuts down', async () => {
    await start('a');
    failure = new TypeError('Failed to fetch');
    service.send({ type: 'session', session: 'b', state: 'closed', reason: null });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(dashboard.problem).toBeNull();
    service.close(1012, '');
    await until(() => expect(dashboard.connection.phase).toBe('waiting'));
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect(dashboard.problem).toBeNull();
  });

  it('says that the service is shutting down if that takes long', async () => {
    await start('a');
    failure = new ServiceUnavailable('shutting down');
    service.send({ type: 'session', session: 'b', state: 'closed', reason: null });
    await until(() => expect(dashboard.problem).toMatch(/^The service is shutting down/));
    service.close(1012, '');
    await until(() => expect(dashboard.connection.phase).toBe('waiting'));
    expect(dashboard.problem).toBeNull();
  });

  it('shows why the list could not be loaded', async () => {
    failure = new Error('the disk is full');
    dashboard.start();
    await until(() => expect(service.connections).toBe(1));
    service.hello();
    await until(() =>
      expect(dashboard.problem).toBe('Could not load the sessions: the disk is full'),
    );
    service.cut();
    await until(() => expect(dashboard.problem).toBeNull());
  });

  it('shows errors of the service, but not about sessions that are gone', async () => {
    await start('a');
    service.send({ type: 'error', code: 'no_session', message: 'gone', id: 'z' });
    service.send({ type: 'error', code: 'bad_message', message: 'what?' });
    await until(() => expect(dashboard.problem).toBe('what?'));
  });

  it('subscribes once a session is open that was not open after a restart', async () => {
    await start('a');
    await until(() => expect(topics()).toContainEqual(['a', 11]));
    const before = topics().length;
    service.send({ type: 'error', code: 'no_session', message: 'not open', id: 'a' });
    await until(() => expect(topics().slice(before)).toEqual([['a', 11]]));
    expect(dashboard.problem).toBeNull();
  });

  it('takes the age of a live sample from its timestamp, of a replayed one from its arrival', async () => {
    await start('a');
    await until(() => expect(topics()).toContainEqual(['a', 11]));
    service.send(subscribed('a', 'e1'), signal('a', 0, 0, 2, -99));
    await until(() => {
      dashboard.publish();
      expect(dashboard.focus?.snapshot.latestIndex).toBe(1);
    });
    const session = dashboard.focus!;
    expect(dashboard.age(session)).toBeGreaterThan(99); // the clock was at 1 s in hello
    dashboard.onDrawn(session);
    dashboard.time = pageTime();
    expect(dashboard.latency(session)).toBeGreaterThan(99);
    dashboard.time += 3;
    expect(dashboard.latency(session)).toBeNull(); // nothing was drawn for 3 s
    dashboard.time -= 3;
    session.snapshot = { ...session.snapshot, info: { ...info, live: false } };
    expect(dashboard.age(session)).toBeLessThan(90);
  });
});
