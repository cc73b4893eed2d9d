import {
  type Connection,
  NO_SESSION,
  type OpenSocket,
  pageTime,
  type StreamMessage,
  ServiceClock,
  type ServiceError,
  type SessionState,
  StreamClient,
  type Topic,
} from 'mimamba-client';
import type { Readiness } from '../requests/health';
import { LoginRequired, NoResponse, ServiceUnavailable, messageOf } from '../requests/rest';
import type { ListedSession } from '../requests/sessions';
import { Session } from './session.svelte';
import { ageOf } from './staleness';

const ALL_TOPICS: Topic[] = [
  ...(['prediction', 'quality', 'bands', 'signal', 'marker', 'heart', 'link'] as const),
  ...(['calibration', 'rating', 'study', 'feedback'] as const),
];
const LINK_ONLY: Topic[] = ['link'];
/** Update interval of ages and countdowns, seconds. Snapshots come at least as often. */
const TICK = 0.25;
/** Seconds between two requests of the list, which has the charge of each battery. */
const RELOAD = 30;
/** Seconds between a failed request and its message: a service that shuts down closes the connection within this time. */
const GRACE = 1;

/** Access to the service. */
export interface Service {
  streamUrl: string;
  listSessions: () => Promise<ListedSession[]>;
  readiness: () => Promise<Readiness>;
  logIn: (token: string) => Promise<void>;
  logInWithCode: (code: string) => Promise<void>;
  logOut: () => Promise<void>;
  open?: OpenSocket;
}

/** State of the page: the connection, the sessions, and the session in focus. */
export class Dashboard {
  connection: Connection = $state.raw({ phase: 'connecting' });
  sessions: readonly Session[] = $state.raw([]);
  focus: Session | null = $state.raw(null);
  /** Last error. */
  problem: string | null = $state.raw(null);
  /** The reason why the service cannot record, asked at each connection. */
  recordingProblem: string | null = $state.raw(null);
  /** One-time code that got no response: no longer in the page's address, and perhaps not used up. */
  unsentCode: string | null = $state.raw(null);
  /** True if workers elsewhere compute the sessions. */
  gateway = $state(false);
  /** True if the page can log out. */
  loggedIn = $state(false);
  /** True if the page has permission to control; the service says so at each connection. */
  mayControl = $state(false);
  /** Page time, seconds, updated four times a second. */
  time = $state(pageTime());
  readonly clock = new ServiceClock();
  private readonly client: StreamClient;
  private readonly service: Service;
  /** Session that should be in focus, if it exists. */
  private wanted: string | null = null;
  /** One-time code to log in with, where a login is required. */
  private code: string | null = null;
  private ticker: ReturnType<typeof setInterval> | undefined;
  /** Page time of the last request of the list. */
  private listed = 0;
  private loading = false;
  private reload = false;

  constructor(service: Service) {
    this.service = service;
    this.client = new StreamClient(
      service.streamUrl,
      {
        message: (message) => this.accept(message),
        connection: (state) => this.setConnection(state),
      },
      service.open,
    );
  }

  start(): void {
    this.ticker = setInterval(() => this.tick(), TICK * 1000);
    this.client.start();
  }

  private tick(): void {
    this.time = pageTime();
    this.publish(); // a tab in the background has no animation frames, but a title
    if (this.connection.phase !== 'connected' || this.time < this.listed + RELOAD) return;
    void this.loadSessions();
  }

  stop(): void {
    clearInterval(this.ticker);
    this.client.stop();
  }

  /** Log in and reconnect. Throws an Error with the service's error detail. */
  async logIn(token: string): Promise<void> {
    await this.service.logIn(token);
    this.client.unlock();
  }

  async logOut(): Promise<void> {
    try {
      await this.service.logOut();
      this.client.lock('');
    } catch (error) {
      this.problem = `Could not log out: ${messageOf(error)}`;
    }
  }

  /** Log in with a one-time code, unless no login is required. */
  useCode(code: string): void {
    this.code = this.connection.phase === 'connected' ? null : code;
    if (this.connection.phase === 'locked') void this.redeem(code);
  }

  /** Log in with a one-time code. */
  async redeem(code: string): Promise<void> {
    this.code = this.unsentCode = null;
    this.connection = { phase: 'connecting' };
    try {
      await this.service.logInWithCode(code);
      this.client.unlock();
    } catch (error) {
      if (error instanceof NoResponse) this.unsentCode = code;
      this.client.lock(messageOf(error));
    }
  }

  /** Put a session in focus as soon as it exists. */
  setFocus(id: string | null): void {
    this.wanted = id;
    this.refocus();
  }

  /** Show what has arrived since the last snapshot. */
  publish(): void {
    for (const session of this.sessions) session.publish();
  }

  /** Age of the newest sample, seconds; null if there is none. */
  age(session: Session): number | null {
    return ageOf(session.snapshot, this.time, this.clock.at(this.time));
  }

  /** Measure the latency of a session's newest sample, which was drawn now. Live sources only. */
  onDrawn({ snapshot, latency, newestTimestamp }: Session): void {
    const time = pageTime();
    const lsl = this.clock.at(time);
    if (snapshot.info?.live && lsl !== null && newestTimestamp !== null)
      latency.push(time, lsl - newestTimestamp);
  }

  /** Median time from sample to screen over the last 2 s, seconds; null if none was drawn. */
  latency(session: Session): number | null {
    return session.latency.median(this.time);
  }

  private setConnection(connection: Connection): void {
    if (connection.phase === 'locked' && this.code !== null) {
      void this.redeem(this.code);
      return;
    }
    this.connection = connection;
    if (connection.phase !== 'connected') this.problem = null;
    if (connection.phase === 'connecting') this.clock.reset();
    if (connection.phase === 'connected') {
      this.code = this.unsentCode = null; // it stays good for a device that needs it
      void this.loadSessions();
      void this.loadReadiness();
    }
  }

  /** Ask what the service is and why it cannot record, again and again while it is not ready. */
  private async loadReadiness(): Promise<void> {
    const { connection } = this;
    while (connection === this.connection)
      try {
        const { problem, gateway } = await this.service.readiness();
        [this.recordingProblem, this.gateway] = [problem, gateway];
        return;
      } catch (error) {
        // The list of sessions, which is loaded at the same time, shows other errors.
        if (!(error instanceof ServiceUnavailable)) return;
        await new Promise((resolve) => setTimeout(resolve, GRACE * 1000));
      }
  }

  /** Load the list of sessions. One request at a time; a call meanwhile repeats it once. */
  private async loadSessions(): Promise<void> {
    this.reload = this.loading;
    if (this.loading) return;
    this.loading = true;
    this.listed = pageTime();
    try {
      this.merge(await this.service.listSessions());
    } catch (error) {
      if (error instanceof LoginRequired) this.client.lock();
      else await this.loadFailed(error);
    } finally {
      this.loading = false;
    }
    if (this.reload) await this.loadSessions();
  }

  /** Show the error, unless the connection ends too: then the list is loaded after a reconnect. */
  private async loadFailed(error: unknown): Promise<void> {
    const { connection } = this;
    await new Promise((resolve) => setTimeout(resolve, GRACE * 1000));
    if (connection.phase === 'connected' && connection === this.connection)
      this.problem =
        error instanceof ServiceUnavailable
          ? 'The service is shutting down. This page reconnects when it is back.'
          : `Could not load the sessions: ${messageOf(error)}`;
  }

  private merge(listed: ListedSession[]): void {
    this.problem = null;
    const known = new Map(this.sessions.map((session) => [session.id, session]));
    for (const id of known.keys())
      if (!listed.some((entry) => entry.id === id)) this.client.forget(id);
    this.sessions = listed.map((entry) => {
      const session = known.get(entry.id) ?? new Session(entry.id, entry.source);
      session.update(entry);
      return session;
    });
    this.publish();
    this.refocus();
  }

  private refocus(): void {
    this.focus =
      this.sessions.find((session) => session.id === this.wanted) ??
      this.sessions.find((session) => session === this.focus) ??
      this.sessions.find((session) => !session.snapshot.ended) ??
      this.sessions[0] ??
      null;
    for (const session of this.sessions)
      if (!session.snapshot.opening)
        this.client.follow(session.id, session === this.focus ? ALL_TOPICS : LINK_ONLY);
  }

  private accept(message: StreamMessage): void {
    const arrival = pageTime();
    if (message.type === 'hello') {
      this.loggedIn = message.login ?? false;
      this.mayControl = message.scope === 'control';
    }
    if (message.type === 'hello' || message.type === 'heartbeat') {
      if (message.clock) this.clock.addMessage(message.clock, arrival);
    } else if (message.type === 'pong') this.clock.addPong(message.t, message.clock, arrival);
    else if (message.type === 'error') this.onError(message);
    else if (message.type === 'session') this.onSessionState(message);
    else if (message.type !== 'ok') {
      const session = this.sessions.find(({ id }) => id === message.session);
      if (session && mayChangePerson(session, message)) void this.loadSessions();
      if (session) deliver(session, message, arrival);
    }
  }

  /** Show an error, unless it is about a session that is not open. */
  private onError({ code, id, message }: ServiceError): void {
    const known = this.sessions.some((session) => session.id === id);
    // A restarted service may have opened the session since the subscription failed.
    if (known && code === NO_SESSION) void this.loadSessions();
    else if (known || id === undefined) this.problem = message;
  }

  private onSessionState(message: SessionState): void {
    const session = this.sessions.find(({ id }) => id === message.session);
    if (message.state === 'closed' || !session || session.snapshot.opening)
      void this.loadSessions();
    else session.setState(message);
  }
}

type SessionMessage = Exclude<
  StreamMessage,
  { type: 'hello' | 'heartbeat' | 'pong' | 'error' | 'session' | 'ok' }
>;

/** True for a baseline or a calibration that begins: it can set the person, which only the list has. */
function mayChangePerson({ snapshot }: Session, message: SessionMessage): boolean {
  if (message.type === 'link') return message.event.startsWith('baseline_');
  return message.type === 'calibration' && message.id !== snapshot.calibration?.id;
}

function deliver(session: Session, message: SessionMessage, arrival: number): void {
  switch (message.type) {
    case 'subscribed':
      return session.setSubscribed(message);
    case 'signal':
      return session.addSignal(message, arrival);
    case 'prediction':
      return session.addPrediction(message);
    case 'quality':
      return session.addQuality(message);
    case 'bands':
      return session.addBands(message);
    case 'heart':
      return session.addHeart(message);
    case 'ppg':
    case 'motion':
      return; // not subscribed to
    case 'marker':
      return session.addMarker(message);
    case 'link':
      return session.addLink(message);
    case 'calibration':
      return session.addCalibration(message, arrival);
    case 'rating':
      return session.addRating(message);
    case 'study':
      return session.addStudy(message, arrival);
    case 'feedback':
      return session.addFeedback(message);
    case 'skipped':
      return session.addSkipped(message);
  }
}
