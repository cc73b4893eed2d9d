import {
  type Connection,
  type OpenSocket,
  pageTime,
  type StreamMessage,
  ServiceClock,
  StreamClient,
  type Topic,
} from 'mimamba-client';
import { Session } from '../state/session.svelte';
import { ageOf } from '../state/staleness';

/** Quality comes four times a second, and so says how old the signal is. */
const TOPICS: Topic[] = ['prediction', 'quality', 'heart', 'link'];
/** Update interval of ages, seconds. Snapshots come at least as often. */
const TICK = 0.25;

/** One session, followed without its signal and without requests. */
export class Embedded {
  connection: Connection = $state.raw({ phase: 'connecting' });
  /** The session while it is there; null before, and without a right token. */
  session: Session | null = $state.raw(null);
  /** Page time, seconds, updated four times a second. */
  time = $state(pageTime());
  readonly clock = new ServiceClock();
  private readonly client: StreamClient;
  private ticker: ReturnType<typeof setInterval> | undefined;

  constructor(
    streamUrl: string,
    private readonly id: string,
    token: string | null,
    open?: OpenSocket,
  ) {
    this.client = new StreamClient(
      streamUrl,
      {
        message: (message) => this.accept(message),
        connection: (connection) => this.setConnection(connection),
      },
      open,
    );
    this.client.token = token;
  }

  start(): void {
    this.ticker = setInterval(() => this.tick(), TICK * 1000);
    this.client.start();
  }

  private tick(): void {
    this.time = pageTime();
    this.publish();
  }

  stop(): void {
    clearInterval(this.ticker);
    this.client.stop();
  }

  /** Show what has arrived since the last snapshot. */
  publish(): void {
    this.session?.publish();
  }

  /** Age of the newest sample, seconds; null if there is none. */
  get age(): number | null {
    return this.session && ageOf(this.session.snapshot, this.time, this.clock.at(this.time));
  }

  private setConnection(connection: Connection): void {
    this.connection = connection;
    if (connection.phase === 'connecting') this.clock.reset();
    if (connection.phase === 'locked') this.session = null;
  }

  private accept(message: StreamMessage): void {
    const arrival = pageTime();
    if (message.type === 'hello' || message.type === 'heartbeat') {
      if (message.clock) this.clock.addMessage(message.clock, arrival);
    } else if (message.type === 'pong') this.clock.addPong(message.t, message.clock, arrival);
    else if ('session' in message && message.session === this.id) this.deliver(message, arrival);
  }

  private deliver(message: StreamMessage & { session: string }, arrival: number): void {
    if (message.type === 'session') {
      if (message.state === 'closed') {
        this.session = null;
        this.client.forget(this.id);
        return;
      }
      this.session ??= new Session(this.id, '');
      this.session.setState(message);
      this.client.follow(this.id, TOPICS);
    } else if (message.type === 'subscribed') this.session?.setSubscribed(message);
    else if (message.type === 'prediction') this.session?.addPrediction(message);
    else if (message.type === 'heart') this.session?.addHeart(message);
    else if (message.type === 'link') this.session?.addLink(message);
    else if (message.type === 'quality') {
      this.session?.addQuality(message);
      this.session?.noteNewest(message.index, message.timestamp, arrival);
    }
  }
}
