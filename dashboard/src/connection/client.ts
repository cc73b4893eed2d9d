import { pageTime } from './clock';
import {
  PROTOCOL,
  SUBPROTOCOL,
  type ClientMessage,
  type Hello,
  type ServerMessage,
  type Since,
  type Subscribed,
  type Topic,
  type TopicMessage,
  decodeFrame,
  encodeFrame,
} from './protocol';

/**
 * `until` is a page time, seconds; `why` says what ended the last connection. `locked` lasts until
 * somebody logs in.
 */
export type Connection =
  | { phase: 'connecting' }
  | { phase: 'connected' }
  | { phase: 'waiting'; until: number; why: string }
  | { phase: 'locked'; why: string };

/** What a WebSocket has to offer; the browser's and that of `ws` both do. */
export type Socket = Pick<
  WebSocket,
  'binaryType' | 'close' | 'send' | 'onmessage' | 'onclose' | 'onerror'
>;
export type OpenSocket = (url: string, protocol: string) => Socket;

export interface Listener {
  message(message: ServerMessage): void;
  connection(connection: Connection): void;
}

/** Where the page is in one session's logs. */
interface Position {
  epoch: string;
  seq: Partial<Record<Topic, number>>;
  next: Partial<Record<Topic, number>>;
  /** Topics that were asked for in this epoch. */
  asked: Set<Topic>;
}

/** The close code with which the service asks for a token. */
const TOKEN_WANTED = 4401;
const FIRST_DELAY = 0.5;
const LONGEST_DELAY = 10;
/** Heartbeats come once a second; four missed ones mean that nobody is there. */
const SILENCE = 4.5;
const PING_EVERY = 2;

const openSocket: OpenSocket = (url, protocol) => new WebSocket(url, protocol);

/**
 * One connection to the service, kept up: it reconnects with growing delays and goes on after the
 * last entry of each topic.
 */
export class StreamClient {
  private socket: Socket | null = null;
  private attempts = 0;
  private greeted = false;
  /** Whether the service has ever let this page in. */
  private known = false;
  private lastFrame = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private pulse: ReturnType<typeof setInterval> | undefined;
  private readonly wanted = new Map<string, Topic[]>();
  private readonly positions = new Map<string, Position>();

  constructor(
    private readonly url: string,
    private readonly listener: Listener,
    private readonly open: OpenSocket = openSocket,
    private readonly firstDelay: number = FIRST_DELAY,
  ) {}

  start(): void {
    this.pulse = setInterval(() => this.beat(), PING_EVERY * 1000);
    this.connect();
  }

  stop(): void {
    clearInterval(this.pulse);
    clearTimeout(this.retry);
    this.drop();
  }

  /** Try again at once: somebody has logged in. */
  unlock(): void {
    clearTimeout(this.retry);
    this.drop();
    this.attempts = 0;
    this.connect();
  }

  /** Try no more until somebody logs in. */
  lock(why = this.known ? 'the login has ended' : ''): void {
    clearTimeout(this.retry);
    this.drop();
    this.listener.connection({ phase: 'locked', why });
  }

  /** Follow these topics of a session and no others; none at all where the list is empty. */
  follow(session: string, topics: Topic[]): void {
    const before = this.wanted.get(session) ?? [];
    const left = before.filter((topic) => !topics.includes(topic));
    if (topics.length) this.wanted.set(session, topics);
    else this.wanted.delete(session);
    if (!this.greeted) return;
    if (left.length) this.send({ type: 'unsubscribe', session, topics: left });
    if (topics.some((topic) => !before.includes(topic))) this.subscribe(session, topics);
  }

  /** A session is gone for good. */
  forget(session: string): void {
    this.wanted.delete(session);
    this.positions.delete(session);
  }

  private connect(): void {
    this.listener.connection({ phase: 'connecting' });
    this.lastFrame = pageTime();
    const socket = this.open(this.url, SUBPROTOCOL);
    this.socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onmessage = (event: MessageEvent) => this.receive(event.data);
    socket.onclose = (event: CloseEvent) => this.closed(event.code, event.reason);
    socket.onerror = () => undefined; // onclose follows and says more
  }

  private receive(frame: unknown): void {
    this.lastFrame = pageTime();
    let message: ServerMessage | null;
    try {
      message = decodeFrame(frame);
    } catch (error) {
      this.lose(String(error));
      return;
    }
    if (message === null) return;
    if (message.type === 'hello' && !this.greet(message)) return;
    if (message.type === 'subscribed') this.place(message);
    else if ('seq' in message && !this.advance(message)) return;
    this.listener.message(message);
  }

  /** Whether the service talks to us. */
  private greet({ protocol, scope }: Hello): boolean {
    if (protocol !== PROTOCOL) {
      this.lose(`the service speaks ${protocol}, this page ${PROTOCOL}: reload the page`);
      return false;
    }
    if (scope === null) {
      this.lock();
      return false;
    }
    this.known = true;
    this.greeted = true;
    this.attempts = 0;
    this.listener.connection({ phase: 'connected' });
    this.send({ type: 'ping', t: pageTime() });
    for (const [session, topics] of this.wanted) this.subscribe(session, topics);
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

  /** After the last entry of each topic; the whole of the logs where a topic is new to the page. */
  private since(session: string, topics: Topic[]): Since {
    const position = this.positions.get(session);
    if (!position || !topics.every((topic) => position.asked.has(topic)))
      return { epoch: '', seq: {} };
    const seq: Since['seq'] = {};
    for (const topic of topics) seq[topic] = position.seq[topic] ?? (position.next[topic] ?? 0) - 1;
    return { epoch: position.epoch, seq };
  }

  private place(message: Subscribed): void {
    const { session, epoch, next } = message;
    let position = this.positions.get(session);
    if (position?.epoch !== epoch) {
      position = { epoch, seq: {}, next, asked: new Set() };
      this.positions.set(session, position);
    }
    position.next = next;
    for (const topic of this.wanted.get(session) ?? []) position.asked.add(topic);
  }

  /** Whether the entry is new to the page. */
  private advance(message: TopicMessage): boolean {
    const position = this.positions.get(message.session);
    if (!position || message.seq <= (position.seq[message.type] ?? -1)) return false;
    position.seq[message.type] = message.seq;
    return true;
  }

  private beat(): void {
    if (!this.socket) return;
    if (pageTime() - this.lastFrame > SILENCE) this.lose('the service fell silent');
    else if (this.greeted) this.send({ type: 'ping', t: pageTime() });
  }

  private closed(code: number, reason: string): void {
    if (code === TOKEN_WANTED) this.lock(reason);
    else this.lose(reason || closeReason(code));
  }

  private lose(why: string): void {
    this.drop();
    const delay = Math.min(LONGEST_DELAY, this.firstDelay * 2 ** this.attempts++);
    this.listener.connection({ phase: 'waiting', until: pageTime() + delay, why });
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.connect(), delay * 1000);
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    this.greeted = false;
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
