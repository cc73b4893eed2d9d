import { History } from './prediction_history';
import { Delays, Rate } from '../signal/timing';
import {
  type Bands,
  type Electrode,
  type Link,
  type Marker,
  type Model,
  type Prediction,
  type Quality,
  type Signal,
  type SessionState,
  type Skipped,
  type Stream,
  type Subscribed,
  float32,
  float64,
} from '../connection/protocol';
import { SampleRing } from '../signal/ring_buffer';

/** Seconds of signal that are kept: as many as the service's log holds. */
export const KEPT_SECONDS = 300;
const MARKERS_KEPT = 256;

/** The link between the source and the service; `since` is on the LSL clock. */
export interface LinkState {
  state: 'unknown' | 'connected' | 'lost' | 'retrying' | 'paused' | 'playing';
  detail: string;
  since: number | null;
}

/** One element of the answer to GET /v1/sessions. */
export interface Listed {
  id: string;
  state: 'opening' | 'open' | 'ended';
  reason: string | null;
  source: string;
  info: Stream | null;
  model: Model | null;
  outputs: Record<string, string[]> | null;
  montage: Electrode[] | null;
  delay: number | null;
  link: Pick<Link, 'timestamp' | 'event' | 'detail'> | null;
  seekable: boolean;
  person: string | null;
}

/** What the page shows of a session in words and numbers. */
export interface View {
  /** The source is still being opened: there is nothing to subscribe to yet. */
  opening: boolean;
  ended: boolean;
  endReason: string | null;
  /** A recording that can be paused and moved. */
  seekable: boolean;
  info: Stream | null;
  model: Model | null;
  outputs: Record<string, string[]> | null;
  montage: Electrode[] | null;
  delay: number | null;
  /** A pseudonym; null where it is nobody's session. */
  person: string | null;
  /** What became of the person's baseline last. */
  baseline: Pick<Link, 'event' | 'detail'> | null;
  link: LinkState;
  gaps: number;
  lostSamples: number;
  hopsSkipped: number;
  /** Entries that left the service's logs before the page read them. */
  missed: number;
  prediction: Prediction | null;
  quality: Quality | null;
  bands: Bands | null;
  /** Samples per second, as they came; null where that is not known yet. */
  rate: number | null;
  latestIndex: number;
  /** The newest sample's stamp, LSL clock. */
  latestTimestamp: number | null;
  /** When the newest sample reached the page, page clock. */
  arrival: number | null;
}

/**
 * One session as the page knows it.
 *
 * Messages change plain fields; `publish`, called once per animation frame, makes what changed
 * visible to the components. So a burst of thousands of entries costs one update.
 */
export class Session {
  view: View = $state.raw(blankView());
  ring: SampleRing | null = null;
  history = new History(2);
  markers: Marker[] = [];
  /** From the newest samples' stamps to the frames that drew them. */
  readonly delays = new Delays();
  private pace = new Rate();
  private readonly now: View = blankView();
  private epoch = '';
  private dirty = false;

  constructor(
    readonly id: string,
    readonly source: string,
  ) {}

  list(listed: Listed): void {
    const { info, model, outputs, montage, delay, reason: endReason, link, state } = listed;
    [this.now.seekable, this.now.person] = [listed.seekable, listed.person];
    const [opening, ended] = [state === 'opening', state === 'ended'];
    Object.assign(this.now, { info, model, outputs, montage, delay, opening, ended, endReason });
    if (link) this.relink(link);
    this.dirty = true;
  }

  change(message: SessionState): void {
    this.now.ended = message.state !== 'opened';
    this.now.endReason = message.reason;
    this.dirty = true;
  }

  subscribed(message: Subscribed): void {
    const { info, model, outputs, montage, delay } = message;
    if (message.epoch !== this.epoch) this.restart(message.epoch);
    if (model?.sha256 !== this.now.model?.sha256) this.now.prediction = null;
    if (model) this.history = sameModel(this.now.model, model) ? this.history : past(model);
    Object.assign(this.now, { info, model, outputs, montage, delay });
    const capacity = Math.ceil(KEPT_SECONDS * info.sfreq);
    if (this.ring?.nChannels !== info.ch_names.length || this.ring.capacity !== capacity)
      this.ring = new SampleRing(info.ch_names.length, capacity);
    this.dirty = true;
  }

  signal(message: Signal, arrival: number): void {
    const stamps = float64(message.timestamps);
    if (!this.ring || stamps.length === 0) return;
    this.ring.write(message.first, float32(message.data));
    this.now.latestIndex = this.ring.newest;
    this.now.latestTimestamp = stamps[stamps.length - 1]!;
    this.now.arrival = arrival;
    this.pace.push(this.now.latestTimestamp, stamps.length);
    this.now.rate = this.pace.hz;
    this.dirty = true;
  }

  predict(message: Prediction): void {
    this.history.push(message);
    this.now.prediction = message;
    this.dirty = true;
  }

  measure(message: Quality): void {
    this.now.quality = message;
    this.dirty = true;
  }

  weigh(message: Bands): void {
    this.now.bands = message;
    this.dirty = true;
  }

  mark(message: Marker): void {
    this.markers.push(message);
    if (this.markers.length > MARKERS_KEPT) this.markers.shift();
    this.dirty = true;
  }

  link(message: Link): void {
    if (message.event === 'gap') {
      this.now.gaps += 1;
      this.now.lostSamples += message.lost ?? 0;
    } else if (message.event === 'hops_skipped') this.now.hopsSkipped += 1;
    else if (message.event.startsWith('baseline_')) this.now.baseline = message;
    else this.relink(message);
    this.dirty = true;
  }

  private relink({ event, detail, timestamp }: NonNullable<Listed['link']>): void {
    if (!isState(event)) return;
    const { state, since } = this.now.link;
    // Trying again goes on with the loss that began before it.
    const goesOn = event === 'retrying' && state !== 'connected';
    this.now.link = { state: event, detail, since: goesOn ? (since ?? timestamp) : timestamp };
  }

  skipped(message: Skipped): void {
    this.now.missed += message.to - message.from + 1;
    this.dirty = true;
  }

  publish(): void {
    if (!this.dirty) return;
    this.dirty = false;
    this.view = { ...this.now };
  }

  /** Another epoch numbers its samples and entries anew. */
  private restart(epoch: string): void {
    const { info, model, outputs, montage, delay, person, baseline } = this.now;
    const { ended, endReason, seekable, link } = this.now;
    const known = { info, model, outputs, montage, delay, person, baseline };
    Object.assign(this.now, blankView(), known, { ended, endReason, seekable, link });
    this.epoch = epoch;
    this.ring = null;
    this.markers = [];
    this.pace = new Rate();
    this.history = past(model);
  }
}

/** Three hops without a prediction are a break in its history. */
const past = (model: Model | null): History => new History(3 * (model?.hop ?? 1));

type State = Exclude<LinkState['state'], 'unknown'>;
const STATES: readonly Link['event'][] = ['connected', 'lost', 'retrying', 'paused', 'playing'];
const isState = (event: Link['event']): event is State => STATES.includes(event);

const sameModel = (a: Model | null, b: Model): boolean => a?.sha256 === b.sha256 && a.hop === b.hop;

function blankView(): View {
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
    baseline: null,
    link: { state: 'unknown', detail: '', since: null },
    gaps: 0,
    lostSamples: 0,
    hopsSkipped: 0,
    missed: 0,
    prediction: null,
    quality: null,
    bands: null,
    rate: null,
    latestIndex: -1,
    latestTimestamp: null,
    arrival: null,
  };
}
