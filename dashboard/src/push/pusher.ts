/** Delivery of an outbox to the service: connects, resumes, reconnects until all is acknowledged. */
import {
  type OpenSocket,
  pageTime,
  PROTOCOL,
  type Socket,
  SUBPROTOCOL,
  type Push,
} from 'mimamba-client';
import { ClockOffset } from './clock_offset';
import { type Answer, bytesOf, decodeAnswer, encodeMessage } from './messages';
import type { Outbox, Packet } from './outbox';

/** Seconds without any message, three heartbeats, after which a connection counts as lost. */
const SILENCE = 3;
/** Answers for the clock offset before the first sample is sent. */
const PINGS = 5;
/** Seconds; after four without a message the service counts an acquirer as lost. */
const PING_PERIOD = 0.5;
const [SHORTEST_PAUSE, LONGEST_PAUSE] = [0.5, 5];
/** Bytes that may wait in the socket. */
const MAX_WAITING = 256 << 10;
const BATCH = 32;
/** Connections in succession that may end with a frame that cannot be read. */
const MAX_DAMAGED = 5;

export interface PushListener {
  /** The service has opened the session, or found it again. */
  opened(session: string): void;
  /** The connection is lost; it is made again. */
  interrupted(): void;
  /** It is over: everything is delivered (null), or the service refuses (the reason). */
  over(refusal: string | null): void;
}

type PushSocket = Socket & { readonly bufferedAmount: number };

/** The sender of one stream. Call `tick` often: timers are slow in a tab in the background. */
export class Pusher {
  private session: string | null = null;
  private socket: PushSocket | null = null;
  private offset = new ClockOffset();
  private next = 0;
  private opened = false;
  private announced = false;
  private lastFrame = 0;
  private lastPing = -Infinity;
  private pinging = false;
  private pause = SHORTEST_PAUSE;
  private retryAt = 0;
  private damaged = 0;
  private isOver = false;

  constructor(
    private readonly url: string,
    private readonly push: Push,
    private readonly outbox: Outbox,
    private readonly listener: PushListener,
    private readonly open: OpenSocket = (url, protocol) => new WebSocket(url, protocol),
  ) {}

  /** Connect, ping, and notice a silence. */
  tick(now: number): void {
    if (this.isOver) return;
    if (!this.socket) {
      if (now >= this.retryAt) this.connect(now);
      return;
    }
    if (now - this.lastFrame > SILENCE) this.reconnectLater(now);
    else if (this.opened && !this.pinging && now - this.lastPing >= PING_PERIOD) this.ping(now);
    this.send();
  }

  /** Note that the page slept until now: silence meanwhile means nothing; a pause is over. */
  wake(now: number): void {
    this.lastFrame = now;
    this.retryAt = now;
    this.pinging = false;
  }

  /** Send what is new in the outbox. */
  send(): void {
    if (this.outbox.delivered) return this.finish(null);
    const { socket } = this;
    while (socket && this.opened && socket.bufferedAmount < MAX_WAITING) {
      const packets = this.outbox.read(this.next, BATCH);
      if (!packets.length) return;
      for (const packet of packets) {
        socket.send(encodeMessage(this.message(packet)));
        this.next = packet.seq + 1;
      }
    }
  }

  /** Give up; nothing more is delivered. */
  stop(): void {
    this.isOver = true;
    this.drop();
  }

  private connect(now: number): void {
    this.lastFrame = now;
    const socket = this.open(this.url, SUBPROTOCOL) as PushSocket;
    this.socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onmessage = (event: MessageEvent) => this.receive(event.data);
    socket.onclose = () => this.reconnectLater(pageTime());
    socket.onerror = () => undefined; // onclose follows
  }

  private receive(frame: unknown): void {
    const now = pageTime();
    this.lastFrame = now;
    let answer: Answer | null;
    try {
      answer = decodeAnswer(frame);
    } catch (error) {
      this.onDamage(String(error), now);
      return;
    }
    if (answer) this.handle(answer, now);
  }

  private handle(answer: Answer, now: number): void {
    switch (answer.type) {
      case 'hello':
        if (answer.protocol !== PROTOCOL)
          return this.finish('The service has another version: reload the page.');
        if (answer.scope !== 'control')
          return this.finish('Your token allows viewing only, or your login has ended.');
        return this.ping(now);
      case 'pong':
        this.pinging = false;
        this.offset.add(answer.t, now, answer.clock.lsl);
        if (this.opened) return;
        if (this.offset.known < PINGS) return this.ping(now);
        if (!this.announced) this.socket?.send(encodeMessage(this.push));
        this.announced = true;
        return;
      case 'pushing':
        [this.session, this.next, this.opened] = [answer.session, answer.next, true];
        [this.pause, this.damaged] = [SHORTEST_PAUSE, 0];
        this.outbox.acknowledge(answer.next - 1);
        this.listener.opened(answer.session);
        return this.send();
      case 'ack':
        this.outbox.acknowledge(answer.seq);
        return this.send();
      case 'error':
        if (answer.code === 'bad_samples' && typeof answer.id === 'number')
          this.outbox.refuse(answer.id);
        else if (answer.code === 'bad_message' || answer.code === 'bad_frame')
          this.onDamage(answer.message, now);
        else this.finish(answer.message);
    }
  }

  /** One frame may be damaged on its way: a new connection repeats what counts. */
  private onDamage(why: string, now: number): void {
    this.damaged += 1;
    if (this.damaged >= MAX_DAMAGED)
      this.finish(`The service and this page do not understand each other (${why}).`);
    else this.reconnectLater(now);
  }

  private ping(now: number): void {
    this.pinging = true;
    this.lastPing = now;
    this.socket?.send(encodeMessage({ type: 'ping', t: now }));
  }

  private message(packet: Packet): Parameters<typeof encodeMessage>[0] {
    return {
      type: 'samples',
      session: this.session!,
      seq: packet.seq,
      first: packet.first,
      timestamps: bytesOf(packet.timestamps),
      data: bytesOf(packet.data),
      offset: this.offset.offset,
      changes: packet.changes,
      ends: packet.ends,
      sensors: packet.sensors,
      battery: packet.battery,
    };
  }

  private reconnectLater(now: number): void {
    this.drop();
    if (this.isOver) return;
    this.retryAt = now + this.pause;
    this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
    this.listener.interrupted();
  }

  private drop(): void {
    const { socket } = this;
    this.socket = null;
    this.offset = new ClockOffset();
    this.opened = this.announced = this.pinging = false;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  private finish(refusal: string | null): void {
    if (this.isOver) return;
    this.stop();
    this.listener.over(refusal);
  }
}
