import {
  type BandsMessage,
  type CalibrationMessage,
  type Electrode,
  type FeedbackMessage,
  float32,
  float64,
  type HeadCard,
  type HeartMessage,
  type LinkMessage,
  type MarkerMessage,
  type Model,
  type PredictionMessage,
  type QualityMessage,
  type RatingMessage,
  type SessionState,
  type SignalMessage,
  type Skipped,
  type StreamInfo,
  type StudyMessage,
  type Subscribed,
} from 'mimamba-client';
import type { ListedSession } from '../requests/sessions';
import { RingBuffer } from '../signal/ring_buffer';
import { DisplayLatency, RateMeter } from '../signal/timing';
import { PredictionHistory } from './prediction_history';
import { isGoingOn } from './progress';

/** Length of the signal buffer, seconds; the service's log is as long. */
export const BUFFER_SECONDS = 300;
const MAX_MARKERS = 256;
const MAX_RATINGS = 256;
/** Seconds of samples of another epoch after which the service has told what goes on in it. */
const STUDY_SECONDS = 5;

/** Connection between the source and the service; `since` in LSL time. */
export interface LinkState {
  state: 'unknown' | 'connected' | 'lost' | 'retrying' | 'paused' | 'playing';
  detail: string;
  since: number | null;
  /** Multiple of the recorded pace, else 1. At full speed it is 1, too: stamps advance as at 1. */
  speed?: number;
}

/** State of a session that the components show. */
export interface SessionSnapshot {
  /** The source is being connected; there is nothing to subscribe to yet. */
  opening: boolean;
  ended: boolean;
  endReason: string | null;
  /** True for a recording, which can be paused and moved. */
  seekable: boolean;
  info: StreamInfo | null;
  model: Model | null;
  outputs: Record<string, string[]> | null;
  montage: Electrode[] | null;
  delay: number | null;
  /** Pseudonym, or null. */
  person: string | null;
  /** Personal output in use, or null. */
  head: HeadCard | null;
  /** State of the latest calibration, and the page time at which it arrived. */
  calibration: (CalibrationMessage & { arrival: number }) | null;
  /** State of the latest study, and the page time at which it arrived. */
  study: (StudyMessage & { arrival: number }) | null;
  /** State of the latest feedback for a study, or null. */
  feedback: FeedbackMessage | null;
  /** Last baseline event. */
  baseline: Pick<LinkMessage, 'event' | 'detail'> | null;
  link: LinkState;
  /** Title of the recording that it plays, or null. */
  title: string | null;
  /** Name of the recording in progress, as far as the page has heard of it; null without one. */
  recording: string | null;
  gaps: number;
  lostSamples: number;
  hopsSkipped: number;
  /** Log entries that were dropped before the page read them. */
  missed: number;
  prediction: PredictionMessage | null;
  quality: QualityMessage | null;
  bands: BandsMessage | null;
  /** Last heart rate; null if the headset measures no pulse. */
  heart: HeartMessage | null;
  /** Charge of the headset's battery, percent; null if it reports none. */
  battery: number | null;
  /** Measured sampling rate, Hz; null if not known yet. */
  rate: number | null;
  latestIndex: number;
  /** Timestamp of the newest sample, LSL time. */
  latestTimestamp: number | null;
  /** Page time at which the newest sample arrived. */
  arrival: number | null;
}

/**
 * One session.
 *
 * Messages change plain fields. `publish`, called some times a second, copies them to `snapshot`,
 * which the components show: a burst of thousands of messages costs one update.
 */
export class Session {
  snapshot: SessionSnapshot = $state.raw(emptySnapshot());
  ring: RingBuffer | null = null;
  history = new PredictionHistory(2);
  markers: MarkerMessage[] = [];
  ratings: RatingMessage[] = [];
  readonly latency = new DisplayLatency();
  private rateMeter = new RateMeter();
  private readonly now: SessionSnapshot = emptySnapshot();
  private epoch = '';
  private dirty = false;
  /** True while the study is that of the epoch before, and page time until which it is kept. */
  private awaitsStudy = false;
  private studyUntil: number | null = null;

  constructor(
    readonly id: string,
    readonly source: string,
  ) {}

  /** Timestamp of the newest sample in the buffer, LSL time; the snapshot's may be older. */
  get newestTimestamp(): number | null {
    return this.now.latestTimestamp;
  }

  /** Update from the list of sessions. */
  update(listed: ListedSession): void {
    const { info, model, outputs, montage, delay, reason: endReason, link, state } = listed;
    [this.now.seekable, this.now.person] = [listed.seekable, listed.person];
    [this.now.battery, this.now.title] = [listed.battery, listed.title];
    const [opening, ended] = [state === 'opening', state === 'ended'];
    Object.assign(this.now, { info, model, outputs, montage, delay, opening, ended, endReason });
    if (link) this.setLink(link);
    this.dirty = true;
  }

  setState(message: SessionState): void {
    this.now.ended = message.state !== 'opened';
    this.now.endReason = message.reason ?? null;
    this.dirty = true;
  }

  setSubscribed(message: Subscribed): void {
    const { info, model, outputs, montage, delay, head = null } = message;
    if (message.epoch !== this.epoch) this.restart(message.epoch);
    if (model?.sha256 !== this.now.model?.sha256) this.now.prediction = null;
    if (model) this.history = sameModel(this.now.model, model) ? this.history : historyFor(model);
    Object.assign(this.now, { info, model, outputs, montage, delay, head });
    const capacity = Math.ceil(BUFFER_SECONDS * info.sfreq);
    if (this.ring?.nChannels !== info.ch_names.length || this.ring.capacity !== capacity)
      this.ring = new RingBuffer(info.ch_names.length, capacity);
    this.dirty = true;
  }

  addSignal(message: SignalMessage, arrival: number): void {
    const stamps = float64(message.timestamps);
    if (!this.ring || stamps.length === 0) return;
    this.ring.write(message.first, float32(message.data));
    this.now.latestIndex = this.ring.newest;
    this.now.latestTimestamp = stamps[stamps.length - 1]!;
    this.now.arrival = arrival;
    this.dropOldStudy(arrival);
    this.rateMeter.push(this.now.latestTimestamp, stamps.length);
    this.now.rate = this.rateMeter.hz;
    this.dirty = true;
  }

  /** Note the newest sample where the signal itself is not followed. */
  noteNewest(index: number, timestamp: number, arrival: number): void {
    [this.now.latestIndex, this.now.latestTimestamp, this.now.arrival] = [
      index,
      timestamp,
      arrival,
    ];
    this.dropOldStudy(arrival);
    this.dirty = true;
  }

  addPrediction(message: PredictionMessage): void {
    this.history.push(message);
    this.now.prediction = message;
    this.dirty = true;
  }

  addQuality(message: QualityMessage): void {
    this.now.quality = message;
    this.dirty = true;
  }

  addBands(message: BandsMessage): void {
    this.now.bands = message;
    this.dirty = true;
  }

  addHeart(message: HeartMessage): void {
    this.now.heart = message;
    this.dirty = true;
  }

  addMarker(message: MarkerMessage): void {
    this.markers.push(message);
    if (this.markers.length > MAX_MARKERS) this.markers.shift();
    this.dirty = true;
  }

  addLink(message: LinkMessage): void {
    if (message.event === 'gap') {
      this.now.gaps += 1;
      this.now.lostSamples += message.lost ?? 0;
    } else if (message.event === 'hops_skipped') this.now.hopsSkipped += 1;
    else if (message.event === 'recording') this.noteRecording(message.detail);
    else if (message.event.startsWith('baseline_')) this.now.baseline = message;
    else this.setLink(message);
    this.dirty = true;
  }

  /** Note a recording in progress, or with null that there is none. */
  setRecording(name: string | null): void {
    this.now.recording = name;
    this.dirty = true;
  }

  /** "the recording day1 began", "the recording day1 ended: the disk is full". */
  private noteRecording(detail: string): void {
    const [, name, change] = /^the recording (\S+) (began|ended)/.exec(detail) ?? [];
    if (change === 'began') this.now.recording = name!;
    else if (change && this.now.recording === name) this.now.recording = null;
  }

  private setLink({ event, detail, timestamp }: NonNullable<ListedSession['link']>): void {
    if (!isLinkState(event)) return;
    const { state, since, speed: before = 1 } = this.now.link;
    const speed = event === 'playing' ? speedOf(detail) : before;
    if (speed !== before) this.rateMeter = new RateMeter();
    // Reconnecting is part of the loss that began before it.
    const sameLoss = event === 'retrying' && state !== 'connected';
    this.now.link = { state: event, detail, since: sameLoss ? (since ?? timestamp) : timestamp };
    if (speed !== 1) this.now.link.speed = speed;
  }

  addCalibration(message: CalibrationMessage, arrival: number): void {
    this.now.calibration = { ...message, arrival };
    this.dirty = true;
  }

  addStudy(message: StudyMessage, arrival: number): void {
    this.now.study = { ...message, arrival };
    this.awaitsStudy = false;
    this.dirty = true;
  }

  addFeedback(message: FeedbackMessage): void {
    this.now.feedback = message;
    this.dirty = true;
  }

  addRating(message: RatingMessage): void {
    this.ratings.push(message);
    if (this.ratings.length > MAX_RATINGS) this.ratings.shift();
    this.dirty = true;
  }

  addSkipped(message: Skipped): void {
    this.now.missed += message.to - message.from + 1;
    this.dirty = true;
  }

  publish(): void {
    if (!this.dirty) return;
    this.dirty = false;
    this.snapshot = { ...this.now };
  }

  /** Drop a study of another epoch that the service has not told again: it has ended. */
  private dropOldStudy(arrival: number): void {
    if (!this.awaitsStudy) return;
    this.studyUntil ??= arrival + STUDY_SECONDS;
    if (arrival <= this.studyUntil) return;
    this.now.study = null;
    this.awaitsStudy = false;
  }

  /** Start a new epoch: its samples and entries are numbered from 0. */
  private restart(epoch: string): void {
    const { info, model, outputs, montage, delay, person, head, baseline } = this.now;
    const { ended, endReason, seekable, title, link, battery, recording } = this.now;
    // A study goes on over epochs, and so does what it shows, such as the full screen.
    const study = this.now.study && isGoingOn(this.now.study.progress) ? this.now.study : null;
    const known = { info, model, outputs, montage, delay, person, head, baseline, study };
    Object.assign(this.now, emptySnapshot(), known, {
      ended,
      endReason,
      seekable,
      title,
      link,
      battery,
      recording,
    });
    this.epoch = epoch;
    [this.awaitsStudy, this.studyUntil] = [study !== null, null];
    this.ring = null;
    this.markers = [];
    this.ratings = [];
    this.rateMeter = new RateMeter();
    this.history = historyFor(model);
  }
}

/** History whose lines break after three hops without a prediction. */
const historyFor = (model: Model | null): PredictionHistory =>
  new PredictionHistory(3 * (model?.hop ?? 1));

/** Speed in the detail of a playing event: "from 1.0 of 20.0 s at speed 2". */
const speedOf = (detail: string): number => Number(/at speed ([\d.]+)/.exec(detail)?.[1] ?? 1);

type KnownState = Exclude<LinkState['state'], 'unknown'>;
const LINK_STATES: readonly LinkMessage['event'][] = [
  'connected',
  'lost',
  'retrying',
  'paused',
  'playing',
];
const isLinkState = (event: LinkMessage['event']): event is KnownState =>
  LINK_STATES.includes(event);

const sameModel = (a: Model | null, b: Model): boolean => a?.sha256 === b.sha256 && a.hop === b.hop;

function emptySnapshot(): SessionSnapshot {
  return {
    opening: false,
    ended: false,
    endReason: null,
    seekable: false,
    info: null,
    model: null,
    outputs: null,
    montage: null,
    delay: null,
    person: null,
    head: null,
    calibration: null,
    study: null,
    feedback: null,
    baseline: null,
    link: { state: 'unknown', detail: '', since: null },
    title: null,
    recording: null,
    gaps: 0,
    lostSamples: 0,
    hopsSkipped: 0,
    missed: 0,
    prediction: null,
    quality: null,
    bands: null,
    heart: null,
    battery: null,
    rate: null,
    latestIndex: -1,
    latestTimestamp: null,
    arrival: null,
  };
}
