/**
 * Messages of wire protocol v1.
 *
 * Made by tests/client/message_types.py from the service's JSON Schema (/v1/schema.json), whose
 * names they have. Fields that may be absent are optional: services of other versions lack some.
 * Bytes are those of msgpack.
 */

/**
 * Send a token; answered by another hello. The first message of a client without headers.
 */
export interface Auth {
  type: 'auth';
  token: string;
  id?: string | number | null;
}

/**
 * Send these topics of a session: after `since` if it is given, else from now on.
 */
export interface Subscribe {
  type: 'subscribe';
  session: string;
  topics: Topic[];
  since?: Position | null;
  id?: string | number | null;
}

/**
 * A reader's position: the last `seq` that it has of each topic, in this epoch.
 */
export interface Position {
  epoch: string;
  seq?: Record<string, number>;
}

/**
 * Send no more of these topics, or of any topic if `topics` is absent.
 */
export interface Unsubscribe {
  type: 'unsubscribe';
  session: string;
  topics?: Topic[] | null;
  id?: string | number | null;
}

/**
 * Set a marker in a session: at `timestamp` on the LSL clock, or at this message's arrival.
 *
 * It is answered by ok, or by an error if the label or the time is not valid.
 */
export interface Mark {
  type: 'mark';
  session: string;
  label: string;
  timestamp?: number | null;
  id?: string | number | null;
}

/**
 * Answered by pong with the same `t`.
 */
export interface Ping {
  type: 'ping';
  t: number;
  id?: string | number | null;
}

/**
 * Open a session for samples over this connection, or continue it; answered by pushing.
 *
 * `stream` is the acquirer's globally unique name for this run of its source, by which it finds
 * its session again. `session` is the id wanted, `model` a checkpoint's name or `none`; the
 * service chooses them if they are absent. `person` is the pseudonym of the one who wears the
 * headset.
 */
export interface Push {
  type: 'push';
  stream: string;
  info: StreamInfo;
  session?: string | null;
  model?: string | null;
  memory?: boolean;
  id?: string | number | null;
  person?: string | null;
}

/**
 * Facts about a source that hold for all of its samples.
 */
export interface StreamInfo {
  /** Name to show to people, e.g. `Muse 2`. */
  name: string;
  /** Identifier of the device or file, e.g. a MAC address or a path. */
  source_id: string;
  /** Nominal sampling frequency, Hz. */
  sfreq: number;
  /** One label per channel; 10-05 electrode names where they are known. */
  ch_names: string[];
  /** The converter's resolution, µV per least significant bit, where it is known. */
  uv_per_bit?: number | null;
  /** The converter's nominal range, ± µV, where it is known. */
  range_uv?: number | null;
  /** True for a source that goes on by itself, false for a recording. */
  live?: boolean;
  /** True if the samples are synthetic. */
  simulated?: boolean;
  /** Remarks for people about this source, one sentence each. */
  notices?: string[];
}

/**
 * The next samples of a push session, acknowledged by ack; a repeated one changes nothing.
 *
 * `seq` grows by one with each message, by more if the acquirer dropped some. `first`,
 * `timestamps` and `data` are as in signal, in the numbering of the acquirer's `epoch`, but
 * `timestamps`, like those of `markers` and `changes`, are on the acquirer's clock;
 * `offset` is the service's clock less that one, as the acquirer estimates it from pongs.
 * `changes` are those of the link to its device before these samples. `ends` is true in the
 * last message. `sensors` are what else the device has measured meanwhile, and `battery` is
 * its charge, percent; a service that does not know them ignores them. A refused message is
 * answered by an error with `seq` as its id. After a message that the service cannot decode,
 * push again: it takes no samples over this connection before that.
 */
export interface Samples {
  type: 'samples';
  session: string;
  seq: number;
  first: number;
  /** float64, little-endian: base64 in JSON, bin in msgpack. */
  timestamps: Uint8Array;
  /** float32, little-endian: base64 in JSON, bin in msgpack. */
  data: Uint8Array;
  offset: number;
  epoch?: number;
  markers?: Marker[];
  changes?: LinkChange[];
  ends?: boolean;
  sensors?: SensorSamples[];
  battery?: number | null;
}

/**
 * A labelled point in time.
 */
export interface Marker {
  /** Seconds, on the clock of the chunk's timestamps. */
  timestamp: number;
  /** Index of its sample, in the numbering of `Chunk.first`. */
  index: number;
  /** Description of the event, e.g. `stimulus/left`. */
  label: string;
  /** Program or column that the marker comes from. */
  source: string;
}

/**
 * A change of the connection to a live source.
 *
 * `timestamp` is in seconds on the LSL clock. `detail` is the reason or the next attempt,
 * for people.
 */
export interface LinkChange {
  state: 'connected' | 'lost' | 'retrying';
  timestamp: number;
  detail: string;
}

/**
 * Samples that the device measures beside the EEG, as in ppg and motion.
 *
 * `name` is `ppg`, `acceleration` or `rotation`; `timestamps` are on the acquirer's
 * clock.
 */
export interface SensorSamples {
  name: string;
  unit: string;
  sfreq: number;
  channels: string[];
  first: number;
  /** float64, little-endian: base64 in JSON, bin in msgpack. */
  timestamps: Uint8Array;
  /** float32, little-endian: base64 in JSON, bin in msgpack. */
  data: Uint8Array;
}

/**
 * The first message on every connection, and the answer to `auth`.
 *
 * `scope` says what the connection may do: `view`, or `control` as well; `login` is true
 * if it came by a login. Without a token there is no scope and no clock, and `auth` must follow
 * within 5 s.
 */
export interface Hello {
  type: 'hello';
  protocol: string;
  server: string;
  clock: Clock | null;
  scope: 'control' | 'view' | null;
  login?: boolean;
  id?: string | number | null;
}

/**
 * The same instant on the LSL clock and in UNIX time, seconds.
 */
export interface Clock {
  lsl: number;
  unix: number;
}

/**
 * The session as it is from here on; sent again when the model or the epoch changes.
 *
 * `model` and `outputs` are null if the session runs without a model. `delay` is that of the
 * signal path, seconds. `next` is the `seq` that each topic's next entry will have.
 * `head` is the person's own output, absent without one.
 */
export interface Subscribed {
  type: 'subscribed';
  session: string;
  epoch: string;
  info: StreamInfo;
  model: Model | null;
  outputs: Record<string, string[]> | null;
  montage: Electrode[] | null;
  delay: number | null;
  next: Record<string, number>;
  id?: string | number | null;
  head?: HeadCard | null;
}

/**
 * The checkpoint that makes predictions: show `notice` wherever they are shown.
 *
 * `window` and `hop` are seconds; `r` is the gate at each hop's start. `emotion` says
 * whether an output infers emotion: the law then wants the wearer to know.
 */
export interface Model {
  name: string;
  sha256: string;
  trained_on: string;
  licence: string;
  notice: string | null;
  window: number;
  hop: number;
  r: number;
  emotion?: boolean;
}

/**
 * An electrode of the model's montage and the channel used for it.
 */
export interface Electrode {
  /** Name in the montage. */
  electrode: string;
  /** Name of the source's channel. */
  channel: string;
  /** Index of that channel in the source, from 0. */
  row: number;
  /** Distance of the two standard 10-05 positions; 0 if both names mean the same place. */
  distance_mm: number;
}

/**
 * A person's own output, as people are shown it.
 *
 * `id` is that of its calibration. `confirmed` is false for one of an earlier day until it was
 * right often enough today: `right` of `checked` blocks and ratings. `half_life` is that of
 * the smoothing, `delay` the mean delay in all, both in seconds. `usable` says whether a
 * session may use it. `days` are confirmed days whose blocks joined its training, and
 * `ratings` is the number of ratings at any time that did.
 */
export interface HeadCard {
  id: string;
  person: string;
  contrast: string;
  kinds: [string, string];
  dimension: string | null;
  day: string;
  verdict: string;
  served: 'no' | 'this session' | 'yes';
  sentence: string;
  accuracy: number | null;
  interval: [number, number] | null;
  p: number | null;
  attempts: number;
  confirmed: boolean;
  right: number;
  checked: number;
  half_life: number;
  delay: number;
  usable: boolean;
  days?: string[];
  ratings?: number;
}

/**
 * The client's message `id` was carried out.
 */
export interface Ok {
  type: 'ok';
  id: string | number;
}

/**
 * The push session `session` is open; send samples from `next` on.
 */
export interface Pushing {
  type: 'pushing';
  session: string;
  stream: string;
  next: number;
  id?: string | number | null;
}

/**
 * All samples messages up to `seq` have arrived; the acquirer need not keep them.
 */
export interface Ack {
  type: 'ack';
  session: string;
  seq: number;
}

/**
 * The answer to ping, with its `t`.
 */
export interface Pong {
  type: 'pong';
  t: number;
  clock: Clock;
  id?: string | number | null;
}

/**
 * Sent once a second: browsers do not see the pings of WebSockets.
 */
export interface Heartbeat {
  type: 'heartbeat';
  clock: Clock;
}

/**
 * Sent to every connection, and for each open session right after hello.
 *
 * `reason` says why a session ended, if it was not closed on request.
 */
export interface SessionState {
  type: 'session';
  session: string;
  state: 'closed' | 'ended' | 'opened';
  reason?: string | null;
}

/**
 * Entries that left the log before they could be sent: `from` to `to`, both included.
 */
export interface Skipped {
  type: 'skipped';
  session: string;
  topic: Topic;
  from: number;
  to: number;
}

/**
 * The client's message could not be carried out; the connection stays open.
 */
export interface ServiceError {
  type: 'error';
  code: string;
  message: string;
  id?: string | number | null;
}

/**
 * One hop's probabilities; `reason` says why `outputs` is null when status is not ok.
 *
 * `personal` is the person's own output at this hop or just before it, absent without one.
 * `set` holds, by output, the `labels` among which the true one is nine times in ten, and how
 * often it was (`coverage`) in the newest `labelled` hops whose label is known; it is absent
 * without any.
 */
export interface PredictionMessage {
  type: 'prediction';
  session: string;
  seq: number;
  index: number;
  timestamp: number;
  status: 'ok' | 'poor_signal' | 'warming_up';
  reason: string | null;
  outputs: Record<string, Record<string, number>> | null;
  timing: Timing;
  personal?: PersonalReading | null;
  set?: Record<string, LabelSet> | null;
}

/**
 * Times on the LSL clock: newest sample received, model stepped, entry logged.
 */
export interface Timing {
  received: number;
  stepped: number;
  published: number;
}

/**
 * A person's own output, as it was at sample `index`.
 *
 * `reason` says why `probabilities` is null when the status is not ok. `state` is null where
 * the output is not sure.
 */
export interface PersonalReading {
  index: number;
  status: 'ok' | 'poor_signal' | 'warming_up';
  reason: string | null;
  probabilities: Record<string, number> | null;
  state: string | null;
}

/**
 * Labels of one output among which the true one is nine times in ten, see `label_sets`.
 *
 * `coverage` is how often that was so in the newest `labelled` hops whose label is known, at
 * most 200; None if there was none.
 */
export interface LabelSet {
  labels: string[];
  coverage: number | null;
  labelled: number;
}

/**
 * Each channel's quality over the 2 s up to sample `index`, four times a second.
 *
 * `channels` holds all channels of the source by name: the `score` from 0 (useless) to 1
 * (good), and the `reason`, which is null from 0.7 up. `motion` is there if the headset's
 * gyroscope or accelerometer shows that the head moved in these 2 s; scores do not depend on it.
 */
export interface QualityMessage {
  type: 'quality';
  session: string;
  seq: number;
  index: number;
  timestamp: number;
  channels: Record<string, ChannelQuality>;
  motion?: string | null;
}

/**
 * A score from 0 (useless) to 1 (good), and the main reason if it is below 0.7.
 */
export interface ChannelQuality {
  score: number;
  reason: 'drift' | 'flat' | 'mains hum' | 'muscle' | 'no contact' | 'railed' | null;
}

/**
 * Each channel's band power over the 2 s up to sample `index`, four times a second.
 *
 * `channels` holds all channels of the source by name: µV² of delta 1-4, theta 4-8, alpha 8-13,
 * beta 13-30 and gamma 30-40 Hz; null if a gap leaves too little signal, and in the first 2 s.
 */
export interface BandsMessage {
  type: 'bands';
  session: string;
  seq: number;
  index: number;
  timestamp: number;
  channels: Record<string, ChannelBands>;
}

/**
 * Power of each band in µV²; None where there is no value.
 */
export interface ChannelBands {
  delta: number | null;
  theta: number | null;
  alpha: number | null;
  beta: number | null;
  gamma: number | null;
}

/**
 * Raw µV of entries that are contiguous in `first`; `seq` is the last entry's.
 *
 * `data` is float32, time-major, n_times x n_channels; `timestamps` is float64, n_times: both
 * little-endian.
 */
export interface SignalMessage {
  type: 'signal';
  session: string;
  seq: number;
  first: number;
  /** float64, little-endian: base64 in JSON, bin in msgpack. */
  timestamps: Uint8Array;
  /** float32, little-endian: base64 in JSON, bin in msgpack. */
  data: Uint8Array;
}

/**
 * Samples of the headset's pulse sensor (photoplethysmogram), contiguous in `first`.
 *
 * `first`, `timestamps` and `data` are as in signal, but `first` counts this sensor's own
 * samples: a jump is a loss. `channels` are its lights, NaN where one is missing. `unit` is
 * `counts` where the scale is unknown, `sfreq` the nominal rate, Hz.
 */
export interface PPGMessage {
  type: 'ppg';
  session: string;
  seq: number;
  first: number;
  /** float64, little-endian: base64 in JSON, bin in msgpack. */
  timestamps: Uint8Array;
  /** float32, little-endian: base64 in JSON, bin in msgpack. */
  data: Uint8Array;
  channels: string[];
  unit: string;
  sfreq: number;
}

/**
 * Samples of one of the headset's motion sensors; other fields are as in ppg.
 *
 * `sensor` is `acceleration` (g) or `rotation` (°/s), each with a numbering of its own.
 * `moved` says if the head moved in these samples: faster than 20 °/s, or by more than 0.15 g.
 */
export interface MotionMessage {
  type: 'motion';
  session: string;
  seq: number;
  sensor: string;
  first: number;
  /** float64, little-endian: base64 in JSON, bin in msgpack. */
  timestamps: Uint8Array;
  /** float32, little-endian: base64 in JSON, bin in msgpack. */
  data: Uint8Array;
  channels: string[];
  unit: string;
  sfreq: number;
  moved: boolean;
}

/**
 * Heart rate over the 10 s up to the pulse sensor's sample `index`, once a second.
 *
 * `rate` is in beats per minute. `confidence` is from 0 (no pulse is visible) to 1 (all beats
 * alike); below 0.6 the rate is null, and `reason` says why.
 */
export interface HeartMessage {
  type: 'heart';
  session: string;
  seq: number;
  index: number;
  timestamp: number;
  rate: number | null;
  confidence: number;
  reason: 'no clear pulse' | 'samples are missing' | 'the head moved' | 'too little signal' | null;
}

/**
 * A labelled instant; `index` is that of its sample.
 */
export interface MarkerMessage {
  type: 'marker';
  session: string;
  seq: number;
  timestamp: number;
  index: number;
  label: string;
  source: string;
}

/**
 * An event of the stream.
 *
 * `connected`, `lost` and `retrying` report the link to the device; `paused` and
 * `playing` report each change in the replay of a recording. `gap` means that the `lost`
 * samples from index `first` on were lost; `hops_skipped` that the engine was too busy for
 * some hops of a live source; `restarted` that the model's state was reset at sample `first`;
 * `model` that another model, or none, makes the predictions from the first hop after that
 * sample on. `baseline_begun` means that a baseline of the person is taken from the first hop
 * after sample `first` on, for as many seconds of good signal as `detail` begins with;
 * `baseline_taken` that it is complete; `baseline_used` that a stored one of a person is used
 * from there on; `baseline_stopped` that the baseline being taken was dropped and the one before
 * is used again from there on. `head` means that another personal output, or none, is used from
 * there on. `labelled` means that an output's true label is known from that sample on, as
 * `detail` says: `OUTPUT=LABEL`, with `, once` behind it for that hop alone; without a label
 * it is not known any more. `recording` reports that a recording of this session began,
 * ended, or may soon end because the disk is nearly full.
 */
export interface LinkMessage {
  type: 'link';
  session: string;
  seq: number;
  timestamp: number;
  event: 'baseline_begun' | 'baseline_stopped' | 'baseline_taken' | 'baseline_used' | 'connected' | 'gap' | 'head' | 'hops_skipped' | 'labelled' | 'lost' | 'model' | 'paused' | 'playing' | 'recording' | 'restarted' | 'retrying';
  detail: string;
  first?: number | null;
  lost?: number | null;
}

/**
 * Progress of the calibration `id`, once per second of signal and at each change.
 *
 * `verdict` is there once it is known.
 */
export interface CalibrationMessage {
  type: 'calibration';
  session: string;
  seq: number;
  index: number;
  timestamp: number;
  id: string;
  progress: CalibrationProgress;
  verdict?: VerdictNote | null;
}

/**
 * Progress of a calibration.
 *
 * `block` counts from 1, and is 0 during the rest; `of` grows with each further pair, of which
 * there were `extra`. `kind` is shown from the cue on, never ahead. `left` and `total` are
 * the seconds of this phase, null where it has no end. `repeat` says why a block is done again.
 * `status` and `reason` are those of the newest second. `step` is to be subtracted from
 * `number`, again and again.
 */
export interface CalibrationProgress {
  phase: 'block' | 'cue' | 'done' | 'failed' | 'judging' | 'pause' | 'rating' | 'rest' | 'stopped';
  block: number;
  of: number;
  kind: string | null;
  left: number | null;
  total: number | null;
  rating_due: boolean;
  repeat: 'signal' | null;
  extra: number;
  status: 'ok' | 'poor_signal' | 'warming_up';
  reason: string | null;
  number?: number | null;
  step?: number | null;
}

/**
 * Verdict of a calibration: show `sentence`.
 *
 * `accuracy` is on blocks held out, `p` is multiplied by the number of `tests`; both are
 * null without a test. `poor` is the share of poor signal, `doubtful` the number of ratings
 * that contradict their block. `model` is the test of a shipped model, `muscle` that of 20 to
 * 40 Hz alone, `time` that of the first against the second half.
 */
export interface VerdictNote {
  name: string;
  served: 'no' | 'this session' | 'yes';
  sentence: string;
  accuracy: number | null;
  interval: [number, number] | null;
  p: number | null;
  attempts: number;
  tests: number;
  n_blocks: [number, number];
  doubtful: number;
  poor: number;
  reason: string | null;
  model?: AccuracyNote | null;
  muscle?: AccuracyNote | null;
  time?: AccuracyNote | null;
}

/**
 * Result of a test over blocks; chance is 0.5.
 */
export interface AccuracyNote {
  accuracy: number;
  interval: [number, number];
  p: number;
}

/**
 * A person's rating of how they feel, 0 to 100, set at sample `index`.
 *
 * `personal` and `outputs` are what was predicted last, before the rating was known.
 */
export interface RatingMessage {
  type: 'rating';
  session: string;
  seq: number;
  index: number;
  timestamp: number;
  valence: number;
  arousal: number;
  personal: PersonalReading | null;
  outputs: Record<string, Record<string, number>> | null;
}

/**
 * Progress of the study run `id` at a time on the LSL clock, at each change.
 *
 * Each step's start is a marker, too.
 */
export interface StudyMessage {
  type: 'study';
  session: string;
  seq: number;
  timestamp: number;
  id: string;
  progress: StudyProgress;
}

/**
 * Progress of a study.
 *
 * `study` is the protocol's name. `step` counts from 1, and is 0 before the first one.
 * `text`, `sound` and `speak` are what the step shows, plays and says, null for nothing.
 * With `rating` the person is asked how they feel. `left` and `total` are the seconds of
 * this phase, null where it waits for an answer. `planned` are the seconds of all steps and
 * `later` those after this one, as far as they are known. `recording` is the name of the
 * study's recording. `reason` says why it waits or has stopped. With `feedback` the step gives
 * the study's feedback.
 */
export interface StudyProgress {
  study: string;
  title: string;
  phase: 'contact' | 'done' | 'step' | 'stopped';
  step: number;
  of: number;
  text: string | null;
  sound: string | null;
  speak: string | null;
  rating: boolean;
  left: number | null;
  total: number | null;
  planned: number;
  later: number;
  recording?: string | null;
  reason?: string | null;
  feedback?: boolean;
}

/**
 * State of a study's feedback `id` at a time on the LSL clock, at each new value.
 *
 * Both ends are markers, too; the recording has the log.
 */
export interface FeedbackMessage {
  type: 'feedback';
  session: string;
  seq: number;
  timestamp: number;
  id: string;
  state: FeedbackState;
}

/**
 * State of a study's feedback.
 *
 * `quantity` is `OUTPUT/LABEL`, `personal/STATE`, `band/BAND` or `band/BAND/ELECTRODE`.
 * There is feedback (`on`) while `value`, 0 to 1, is on this `side` of `at`; it ends only
 * `back` beyond it. `value` is null while there is none, and `reason` says why, or why the
 * feedback has ended (`running` is false). `recording` names the recording that has its log.
 * `source` and `sham`, the recording whose values are shown, are null where it is `blind`.
 */
export interface FeedbackState {
  quantity: string;
  side: 'above' | 'below';
  at: number;
  back: number;
  running: boolean;
  value: number | null;
  on: boolean;
  reason: string | null;
  recording: string;
  blind: boolean;
  source?: 'real' | 'sham' | null;
  sham?: string | null;
}

export type Topic = 'bands' | 'calibration' | 'feedback' | 'heart' | 'link' | 'marker' | 'motion' | 'ppg' | 'prediction' | 'quality' | 'rating' | 'signal' | 'study';

export type ClientMessage = Auth | Subscribe | Unsubscribe | Mark | Ping | Push | Samples;

export type ServerMessage = Hello | Subscribed | Ok | Pushing | Ack | Pong | Heartbeat | SessionState | Skipped | ServiceError | PredictionMessage | QualityMessage | BandsMessage | SignalMessage | PPGMessage | MotionMessage | HeartMessage | MarkerMessage | LinkMessage | CalibrationMessage | RatingMessage | StudyMessage | FeedbackMessage;
