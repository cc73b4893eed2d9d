import { type AddressInfo } from 'node:net';
import { Decoder, encode } from '@msgpack/msgpack';
import { WebSocket, WebSocketServer } from 'ws';
import {
  type ClientMessage,
  type OpenSocket,
  type QualityMessage,
  type StreamMessage,
  type Socket,
  SUBPROTOCOL,
} from 'mimamba-client';
import type { Recording } from '../src/requests/recordings';

/** The bytes in a buffer of their own, as the browser passes them. */
export function arrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

export const openSocket: OpenSocket = (url, protocol) =>
  new WebSocket(url, protocol) as unknown as Socket;

/** Real WebSocket server that sends what a test wants, and keeps what it receives. */
export class ScriptedService {
  readonly received: ClientMessage[] = [];
  connections = 0;
  private readonly decoder = new Decoder();
  private socket: WebSocket | null = null;

  private constructor(private readonly server: WebSocketServer) {
    server.on('connection', (socket) => {
      this.connections += 1;
      this.socket = socket;
      socket.on('message', (frame: Buffer) =>
        this.received.push(this.decoder.decode(frame) as ClientMessage),
      );
    });
  }

  static async start(): Promise<ScriptedService> {
    const server = new WebSocketServer({
      port: 0,
      host: '127.0.0.1',
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    });
    await new Promise((resolve) => server.once('listening', resolve));
    return new ScriptedService(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  send(...messages: (StreamMessage | object)[]): void {
    for (const message of messages) this.socket?.send(encode(message));
  }

  sendText(text: string): void {
    this.socket?.send(text);
  }

  hello(protocol = 'mimamba.v1'): void {
    const clock = { lsl: 1, unix: 2 };
    this.send({ type: 'hello', protocol, server: 'test', clock, scope: 'control', login: true });
  }

  /** Hello before a login. */
  requireLogin(): void {
    this.send({ type: 'hello', protocol: 'mimamba.v1', server: 'test', clock: null, scope: null });
  }

  /** Close the connection with this code. */
  close(code: number, reason: string): void {
    this.socket?.close(code, reason);
  }

  /** End the connection without a close frame. */
  cut(): void {
    this.socket?.terminate();
  }

  subscriptions(): (ClientMessage & { type: 'subscribe' })[] {
    return this.received.filter((message) => message.type === 'subscribe');
  }

  async stop(): Promise<void> {
    for (const client of this.server.clients) client.terminate();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export const info = {
  name: 'Muse 2',
  source_id: 'x',
  sfreq: 256,
  ch_names: ['TP9', 'AF7'],
  uv_per_bit: null,
  range_uv: null,
  live: true,
  simulated: false,
  notices: [],
};

export const model = {
  name: 'demo',
  sha256: 'ab',
  trained_on: 'synthetic data',
  licence: 'MIT',
  notice: null,
  window: 2,
  hop: 0.25,
  r: 0.9,
  emotion: true,
};

export const subscribed = (session: string, epoch: string, next = {}): StreamMessage => ({
  type: 'subscribed',
  session,
  epoch,
  info,
  model,
  outputs: { valence: ['low', 'high'] },
  montage: null,
  delay: 0.1,
  next,
});

/** Signal message with `count` samples of zeros. */
export const signal = (
  session: string,
  seq: number,
  first: number,
  count = 2,
  stamp = 0,
): StreamMessage => ({
  type: 'signal',
  session,
  seq,
  first,
  timestamps: new Uint8Array(Float64Array.from({ length: count }, () => stamp).buffer),
  data: new Uint8Array(4 * count * info.ch_names.length),
});

export const quality = (
  session: string,
  seq: number,
  index: number,
  channels: QualityMessage['channels'],
): QualityMessage => ({
  type: 'quality',
  session,
  seq,
  index,
  timestamp: index / info.sfreq,
  channels,
});

export const prediction = (
  session: string,
  seq: number,
  timestamp: number,
  high: number | null,
): StreamMessage & { type: 'prediction' } => ({
  type: 'prediction',
  session,
  seq,
  index: Math.round(timestamp * 256),
  timestamp,
  status: high === null ? 'poor_signal' : 'ok',
  reason: high === null ? 'AF7 is flat.' : null,
  outputs: high === null ? null : { valence: { low: 1 - high, high } },
  timing: { received: timestamp, stepped: timestamp, published: timestamp },
});

export const recording = (change: Partial<Recording>): Recording => ({
  ...{ name: 'day1', title: null, state: 'finished', reason: null, session: 'a', source: 'Muse 2' },
  ...{ person: 'p7', notes: null, model: 'demo', started: '2026-01-02T10:00:00+00:00' },
  ...{ ended: '2026-01-02T10:01:05+00:00', seconds: null, feedback: false, bytes: 7000 },
  ...change,
});
