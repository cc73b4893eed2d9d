import { pageTime } from './clock.js';
import {
  NO_SESSION,
  PROTOCOL,
  SUBPROTOCOL,
  type StreamMessage,
  type TopicMessage,
  decodeFrame,
  encodeFrame,
} from './frames.js';
import type {
  ClientMessage,
  Hello,
  Position,
  ServiceError,
  SessionState,
  Subscribed,
  Topic,
} from './messages.js';

/**
 * State of the connection to the service. `until`: `pageTime` of the next attempt, seconds. `why`:
 * reason for the end of the last connection. `locked` lasts until a login.
 */
export type Connection =
  | { phase: 'connecting' }
  | { phase: 'connected' }
  | { phase: 'waiting'; until: number; why: string }
  | { phase: 'locked'; why: string };

/** The part of a WebSocket that is used: the browser's and the one of `ws` both have it. */
export type Socket = Pick<
  WebSocket,
  'binaryType' | 'close' | 'send' | 'onmessage' | 'onclose' | 'onerror'
>;
export type OpenSocket = (url: string, protocol: string) => Socket;

export interface Listener {
  message(message: StreamMessage): void;
  connection(connection: Connection): void;
}

/** Last entries read from one session's logs. */
interface LogPosition {
  epoch: string;
  seq: Partial<Record<Topic, number>>;
  next: Partial<Record<Topic, number>>;
  /** Topics subscribed to in this epoch. */
  requested: Set<Topic>;
}

/** Close code of the service for a missing or expired login. */
const LOGIN_REQUIRED = 4401;
const FIRST_DELAY = 0.5;
const LONGEST_DELAY = 10;
/** Seconds without a message after which the connection counts as lost: four missed heartbeats. */
const SILENCE = 4.5;
const PING_EVERY = 2;

const openSocket: OpenSocket = (url, protocol) => {
  if (!('WebSocket' in globalThis))
    throw new Error(
      'Expected a WebSocket, but this Node has none. Use Node 22 or newer, or pass `open` with the ' +
        'one of the package ws.',
    );
  return new WebSocket(url, protocol);
};

/** Address of a service's stream: `ws://127.0.0.1:8765/v1/stream` for `http://127.0.0.1:8765`. */
export function streamUrl(service: string | URL): string {
  const base = new URL(service);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  const url = new URL('./v1/stream', base);
  url.protocol = base.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

/**
 * WebSocket client that reconnects with growing delays and resumes after the last entry of each
 * topic.
 */
export class StreamClient {
  /** Token to send where the service asks for one; null waits for a login. */
  token: string | null = null;
  private socket: Socket | null = null;
  private attempts = 0;
  /** True after the service's hello. */
  private ready = false;
  /** True once this page has been logged in. */
  private wasLoggedIn = false;
  private lastFrame = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private pingTimer: ReturnType<typeof setInterval> | undefined;
  private readonly followed = new Map<string, Topic[]>();
  /** Topics of sessions that are not open: not yet, or not any more. */
  private readonly awaited = new Map<string, Topic[]>();
  private readonly positions = new Map<string, LogPosition>();

  constructor(
    private readonly url: string,
    private readonly listener: Listener,
    private readonly open: OpenSocket = openSocket,
    private readonly firstDelay: number = FIRST_DELAY,
  ) {}

  start(): void {
    this.pingTimer = setInterval(() => this.ping(), PING_EVERY * 1000);
    this.connect();
  }

  stop(): void {
    clearInterval(this.pingTimer);
    clearTimeout(this.retry);
    this.drop();
  }

  /** Reconnect at once, after a login. */
  unlock(): void {
    clearTimeout(this.retry);
    this.drop();
    this.attempts = 0;
    this.connect();
  }

  /** Stop reconnecting until a login. */
  lock(why = this.wasLoggedIn ? 'your login has ended' : ''): void {
    clearTimeout(this.retry);
    this.drop();
    this.listener.connection({ phase: 'locked', why });
  }

  /**
   * Subscribe to these topics of a session, and unsubscribe from all others. A session that is not
   * open, or that is closed later, is waited for until `forget`.
   */
  follow(session: string, topics: Topic[]): void {
    this.awaited.delete(session);
    const before = this.followed.get(session) ?? [];
    const dropped = before.filter((topic) => !topics.includes(topic));
    if (topics.length) this.followed.set(session, topics);
    else this.followed.delete(session);
    if (!this.ready) return;
    if (dropped.length) this.send({ type: 'unsubscribe', session, topics: dropped });
    if (topics.some((topic) => !before.includes(topic))) this.subscribe(session, topics);
  }

  /** End to follow a session that was closed, and to wait for another one of its name. */
  forget(session: string): void {
    this.followed.delete(session);
    this.awaited.delete(session);
    this.positions.delete(session);
  }

  private connect(): void {
    this.listener.connection({ phase: 'connecting' });
    this.lastFrame = pageTime();
    const socket = this.open(this.url, SUBPROTOCOL);
    this.socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onmessage = (event: MessageEvent) => this.receive(event.data);
    socket.onclose = (event: CloseEvent) => this.onClose(event.code, event.reason);
    socket.onerror = () => undefined; // onclose follows with the reason
  }

  private receive(frame: unknown): void {
    this.lastFrame = pageTime();
    let message: StreamMessage | null;
    try {
      message = decodeFrame(frame);
    } catch (error) {
      this.reconnectLater(String(error));
      return;
    }
    if (message === null) return;
    if (message.type === 'hello' && !this.onHello(message)) return;
    if (message.type === 'subscribed') this.onSubscribed(message);
    else if (message.type === 'error') this.onError(message);
    else if (message.type === 'session') this.onSessionState(message);
    else if ('seq' in message && !this.isNew(message)) return;
    this.listener.message(message);
  }

  /** Subscribe after the hello; false if the protocol differs or a login is required. */
  private onHello({ protocol, scope }: Hello): boolean {
    if (protocol !== PROTOCOL) {
      this.reconnectLater(
        `the service uses protocol ${protocol}, this page ${PROTOCOL}. Reload the page`,
      );
      return false;
    }
    if (scope === null && this.token !== null) {
      this.send({ type: 'auth', token: this.token }); // answered by another hello, or by the end
      return false;
    }
    if (scope === null) {
      this.lock();
      return false;
    }
    this.wasLoggedIn = true;
    this.ready = true;
    this.attempts = 0;
    this.listener.connection({ phase: 'connected' });
    this.send({ type: 'ping', t: pageTime() });
    for (const [session, topics] of this.followed) this.subscribe(session, topics);
    return true;
  }

  private subscribe(session: string, topics: Topic[]): void {
    this.send({
      type: 'subscribe',
      session,
      topics,
      since: this.since(session, topics),
      id: session,
    });
  }

  /** Position after the last entry of each topic; the logs' start if a topic is new. */
  private since(session: string, topics: Topic[]): Position {
    const position = this.positions.get(session);
    if (!position || !topics.every((topic) => position.requested.has(topic)))
      return { epoch: '', seq: {} };
    const seq: Record<string, number> = {};
    for (const topic of topics) seq[topic] = position.seq[topic] ?? (position.next[topic] ?? 0) - 1;
    return { epoch: position.epoch, seq };
  }

  private onSubscribed(message: Subscribed): void {
    const { session, epoch, next } = message;
    let position = this.positions.get(session);
    if (position?.epoch !== epoch) {
      position = { epoch, seq: {}, next, requested: new Set() };
      this.positions.set(session, position);
    }
    position.next = next;
    for (const topic of this.followed.get(session) ?? []) position.requested.add(topic);
  }

  /** A session that is not open yet was not subscribed to. */
  private onError({ code, id }: ServiceError): void {
    const session = String(id);
    if (code === NO_SESSION) this.waitFor(session);
  }

  private onSessionState({ session, state }: SessionState): void {
    const topics = this.awaited.get(session);
    if (state === 'opened' && topics) this.follow(session, topics);
    if (state !== 'closed') return;
    this.waitFor(session);
    this.positions.delete(session); // another session of this name has other logs
  }

  /** Wait until a session that is followed opens. */
  private waitFor(session: string): void {
    const topics = this.followed.get(session);
    if (!topics) return;
    this.followed.delete(session);
    this.awaited.set(session, topics);
  }

  /** Record the entry's position; false if it was received before. */
  private isNew(message: TopicMessage): boolean {
    const position = this.positions.get(message.session);
    if (!position || message.seq <= (position.seq[message.type] ?? -1)) return false;
    position.seq[message.type] = message.seq;
    return true;
  }

  private ping(): void {
    if (!this.socket) return;
    if (pageTime() - this.lastFrame > SILENCE)
      this.reconnectLater('the service stopped responding');
    else if (this.ready) this.send({ type: 'ping', t: pageTime() });
  }

  private onClose(code: number, reason: string): void {
    if (code === LOGIN_REQUIRED) this.lock(reason);
    else this.reconnectLater(reason || closeReason(code));
  }

  private reconnectLater(why: string): void {
    this.drop();
    const delay = Math.min(LONGEST_DELAY, this.firstDelay * 2 ** this.attempts++);
    this.listener.connection({ phase: 'waiting', until: pageTime() + delay, why });
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.connect(), delay * 1000);
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    this.ready = false;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  private send(message: ClientMessage): void {
    this.socket?.send(encodeFrame(message));
  }
}

function closeReason(code: number): string {
  if (code === 1001 || code === 1012) return 'the service is shutting down';
  return 'no connection to the service';
}
