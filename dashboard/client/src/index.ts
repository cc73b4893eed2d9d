/** Client of a mimamba service: subscribes to sessions, and resumes after a lost connection. */
export {
  type Connection,
  type Listener,
  type OpenSocket,
  type Socket,
  StreamClient,
  streamUrl,
} from './client.js';
export { ServiceClock, pageTime } from './clock.js';
export {
  NO_SESSION,
  PROTOCOL,
  ProtocolError,
  type StreamMessage,
  SUBPROTOCOL,
  type TopicMessage,
  decodeFrame,
  decodeMessage,
  encodeFrame,
  float32,
  float64,
} from './frames.js';
export type * from './messages.js';
