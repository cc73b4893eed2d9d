import { LoginNeeded, Unavailable, wordsOf } from '../requests/rest';
import { type Connection, type OpenSocket, StreamClient } from '../connection/client';
import { ServiceClock, pageTime } from '../connection/clock';
import type { ServerMessage, ServiceError, SessionState, Topic } from '../connection/protocol';
import { type Listed, Session } from './session.svelte';

const EVERYTHING: Topic[] = ['prediction', 'quality', 'bands', 'signal', 'marker', 'link'];
const LINK_ONLY: Topic[] = ['link'];
/** Ages and countdowns are shown in words; four times a second is as fast as they are read. */
const TICK = 0.25;
/** Seconds that a connection may take to end after the requests that a service which ends fails. */
const GRACE = 1;

/** Where the service is, and how the page talks to it. */
export interface Service {
  streamUrl: string;
  listSessions: () => Promise<Listed[]>;
  logIn: (token: string) => Promise<void>;
  logOut: () => Promise<void>;
  open?: OpenSocket;
}

/** All that the page knows: one connection, its sessions, and the one in focus. */
export class Dashboard {
  connection: Connection = $state.raw({ phase: 'connecting' });
  sessions: readonly Session[] = $state.raw([]);
  focus: Session | null = $state.raw(null);
  /** What the service last refused, in its words. */
  problem: string | null = $state.raw(null);
  /** Whether there is a login to end. */
  loggedIn = $state(false);
  /** Whether this page may change anything: the service says so at each connection. */
  mayControl = $state(false);
  /** Page time, seconds, renewed four times a second. */
  time = $state(pageTime());
  readonly clock = new ServiceClock();
  private readonly client: StreamClient;
  private readonly service: Service;
  private wish: string | null = null;
  private ticker: ReturnType<typeof setInterval> | undefined;
  private listing = false;
  private listAgain = false;

  constructor(service: Service) {
    this.service = service;
    this.client = new StreamClient(
      service.streamUrl,
      { message: (message) => this.accept(message), connection: (state) => this.connect(state) },
      service.open,
    );
  }

  start(wish: string | null): void {
    this.wish = wish;
    this.ticker = setInterval(() => (this.time = pageTime()), TICK * 1000);
    this.client.start();
  }

  stop(): void {
    clearInterval(this.ticker);
    this.client.stop();
  }

  /** Show the token; a refusal is an Error in the service's words. */
  async logIn(token: string): Promise<void> {
    await this.service.logIn(token);
    this.client.unlock();
  }

  async logOut(): Promise<void> {
    try {
      await this.service.logOut();
      this.client.lock('');
    } catch (error) {
      this.problem = `The login did not end: ${String(error)}`;
    }
  }

  /** Put a session in focus as soon as it is there. */
  choose(id: string | null): void {
    this.wish = id;
    this.refocus();
  }

  /** Make what came since the last frame visible. */
  publish(): void {
    for (const session of this.sessions) session.publish();
  }

  /** How old, in seconds, what is shown is; null where nothing came yet. */
  age(session: Session): number | null {
    const { arrival, latestTimestamp, info } = session.view;
    if (arrival === null || latestTimestamp === null) return null;
    const sinceArrival = Math.max(0, this.time - arrival);
    const lsl = this.clock.at(this.time);
    // A replayed stamp tells of the past by design: there only the arrival counts.
    if (!info?.live || lsl === null) return sinceArrival;
    return Math.max(sinceArrival, lsl - latestTimestamp);
  }

  /** A session's newest sample is on the screen. A replayed one has no way there to measure. */
  drawn({ view, delays }: Session): void {
    const time = pageTime();
    const lsl = this.clock.at(time);
    if (view.info?.live && lsl !== null && view.latestTimestamp !== null)
      delays.push(time, lsl - view.latestTimestamp);
  }

  /** Seconds from a sample to the frame that drew it, lately; null where none was drawn. */
  latency(session: Session): number | null {
    return session.delays.median(this.time);
  }

  private connect(connection: Connection): void {
    this.connection = connection;
    if (connection.phase !== 'connected') this.problem = null; // what was refused is over
    if (connection.phase === 'connecting') this.clock.reset();
    if (connection.phase === 'connected') void this.list();
  }

  /** One request at a time; what is asked for meanwhile is one more after it. */
  private async list(): Promise<void> {
    this.listAgain = this.listing;
    if (this.listing) return;
    this.listing = true;
    try {
      this.merge(await this.service.listSessions());
    } catch (error) {
      if (error instanceof LoginNeeded) this.client.lock();
      else await this.unlisted(error);
    } finally {
      this.listing = false;
    }
    if (this.listAgain) await this.list();
  }

  /** No alarm where the connection ends, too: that is told by itself, and the next one asks again. */
  private async unlisted(error: unknown): Promise<void> {
    const { connection } = this;
    await new Promise((resolve) => setTimeout(resolve, GRACE * 1000));
    if (connection.phase === 'connected' && connection === this.connection)
      this.problem =
        error instanceof Unavailable
          ? 'The service is ending. This page connects again by itself once it is back.'
          : `The list of sessions did not come: ${wordsOf(error)}`;
  }

  private merge(listed: Listed[]): void {
    this.problem = null;
    const kept = new Map(this.sessions.map((session) => [session.id, session]));
    for (const id of kept.keys())
      if (!listed.some((entry) => entry.id === id)) this.client.forget(id);
    this.sessions = listed.map((entry) => {
      const session = kept.get(entry.id) ?? new Session(entry.id, entry.source);
      session.list(entry);
      return session;
    });
    this.publish();
    this.refocus();
  }

  private refocus(): void {
    this.focus =
      this.sessions.find((session) => session.id === this.wish) ??
      this.sessions.find((session) => session === this.focus) ??
      this.sessions.find((session) => !session.view.ended) ??
      this.sessions[0] ??
      null;
    for (const session of this.sessions)
      if (!session.view.opening)
        this.client.follow(session.id, session === this.focus ? EVERYTHING : LINK_ONLY);
  }

  private accept(message: ServerMessage): void {
    const arrival = pageTime();
    if (message.type === 'hello') {
      this.loggedIn = message.login ?? false;
      this.mayControl = message.scope === 'control';
    }
    if (message.type === 'hello' || message.type === 'heartbeat') {
      if (message.clock) this.clock.hear(message.clock, arrival);
    } else if (message.type === 'pong') this.clock.answer(message.t, message.clock, arrival);
    else if (message.type === 'error') this.refused(message);
    else if (message.type === 'session') this.changed(message);
    else if (message.type !== 'ok') {
      const session = this.sessions.find(({ id }) => id === message.session);
      // A baseline can make it another person's session, which only the list says.
      if (message.type === 'link' && message.event.startsWith('baseline_')) void this.list();
      if (session) deliver(session, message, arrival);
    }
  }

  /** A session that is gone can't be subscribed to: the list says so already. */
  private refused({ id, message }: ServiceError): void {
    if (id === undefined || this.sessions.some((session) => session.id === id))
      this.problem = message;
  }

  private changed(message: SessionState): void {
    const session = this.sessions.find(({ id }) => id === message.session);
    if (message.state === 'closed' || !session || session.view.opening) void this.list();
    else session.change(message);
  }
}

type SessionMessage = Exclude<
  ServerMessage,
  { type: 'hello' | 'heartbeat' | 'pong' | 'error' | 'session' | 'ok' }
>;

function deliver(session: Session, message: SessionMessage, arrival: number): void {
  switch (message.type) {
    case 'subscribed':
      return session.subscribed(message);
    case 'signal':
      return session.signal(message, arrival);
    case 'prediction':
      return session.predict(message);
    case 'quality':
      return session.measure(message);
    case 'bands':
      return session.weigh(message);
    case 'marker':
      return session.mark(message);
    case 'link':
      return session.link(message);
    case 'skipped':
      return session.skipped(message);
  }
}
