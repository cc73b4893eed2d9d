import { LoginRequired, addressOf, errorDetail, fetchBlob, request } from './rest';
import type { ListedSession } from './sessions';
import { replayUrl } from './source_url';

export interface Recording {
  name: string;
  /** Name for people, in any script; null if it has none but `name`. */
  title: string | null;
  state: 'recording' | 'finished' | 'recovered' | 'unfinished' | 'damaged' | 'uploaded' | 'unknown';
  reason: string | null;
  session: string | null;
  source: string | null;
  person: string | null;
  notes: string | null;
  model: string | null;
  /** ISO 8601; for an uploaded file, the time of the upload. */
  started: string | null;
  ended: string | null;
  /** Duration of the signal; null if the file does not state it. */
  seconds: number | null;
  /** Whether its file says whose values somebody got as feedback for a study. */
  feedback: boolean;
  bytes: number;
}

export const FORMATS = ['edf', 'bdf', 'csv', 'parquet', 'bids'] as const;
export type Format = (typeof FORMATS)[number];

/** Facts for a BIDS data set; `task` is letters and digits, `mains` empty if not known. */
export interface BidsFacts {
  task: string;
  authors: string;
  mains: '' | '50' | '60';
}

/** Facts to change; absent ones stay, and null removes one. */
export type RecordingFacts = Partial<Pick<Recording, 'title' | 'notes'>>;

/** A marker of a recording, with what was edited after the recording. */
export interface MarkerOfRecording {
  id: string;
  /** Seconds from the first sample. */
  position: number;
  label: string;
  source: string;
  state: 'recorded' | 'added' | 'changed' | 'deleted';
  /** Time of the newest edit, ISO 8601; null without one. */
  date: string | null;
  /** Recorded position and label, where something was edited. */
  recorded: { position: number; label: string } | null;
}

export type MarkerFacts = Pick<MarkerOfRecording, 'position' | 'label'>;

/** Requests about the markers of one recording. Each edit returns the marker after it. */
export interface MarkerApi {
  list(recording: string): Promise<MarkerOfRecording[]>;
  add(recording: string, marker: MarkerFacts): Promise<MarkerOfRecording>;
  change(
    recording: string,
    marker: string,
    change: Partial<MarkerFacts>,
  ): Promise<MarkerOfRecording>;
  remove(recording: string, marker: string): Promise<MarkerOfRecording>;
  /** Take back the edits of a recorded marker, or the deletion of an added one. */
  restore(recording: string, marker: string): Promise<MarkerOfRecording>;
}

/** Recording requests. They throw an Error with the service's error detail. */
export interface RecordingApi {
  list(): Promise<Recording[]>;
  read(name: string): Promise<Recording>;
  /** Record a session from now on; the service makes a name, from the title if there is one. */
  start(session: string, title: string | null): Promise<Recording>;
  change(name: string, facts: RecordingFacts): Promise<Recording>;
  stop(name: string): Promise<Recording>;
  remove(name: string): Promise<void>;
  /** The recording converted to another format. */
  export(name: string, format: Format, facts?: BidsFacts): Promise<Blob>;
  upload(file: File, person: string | null, onProgress: OnProgress): Upload;
  /** Open a session that replays the recording and return its id. */
  play(name: string): Promise<string>;
}

/** Called with the share that has been sent, 0 to 1. */
export type OnProgress = (share: number) => void;

export interface Upload {
  done: Promise<Recording>;
  cancel(): void;
}

const pathOf = (name: string): string => `/v1/recordings/${encodeURIComponent(name)}`;

/** URL for downloading the recording's file. */
export const fileOf = (name: string): string => addressOf(`${pathOf(name)}/file`);

/** URL of a report on the recording, compared with another: one HTML file, to save or to view. */
export function reportOf(name: string, other: string | null, view: boolean): string {
  const query = new URLSearchParams({
    ...(other ? { with: other } : {}),
    ...(view ? { view: 'true' } : {}),
  });
  return addressOf(`${pathOf(name)}/report${query.size ? `?${query}` : ''}`);
}

export const recordingApi: RecordingApi = {
  list: () => request('GET', '/v1/recordings'),
  read: (name) => request('GET', pathOf(name)),
  start: (session, title) =>
    request('POST', '/v1/recordings', title ? { session, title } : { session }),
  change: (name, facts) => request('PUT', pathOf(name), facts),
  stop: (name) => request('POST', `${pathOf(name)}/stop`),
  remove: (name) => request('DELETE', `${pathOf(name)}?confirm=${encodeURIComponent(name)}`),
  export: (name, format, facts) => {
    const given = Object.entries(facts ?? {}).filter(([, value]) => value !== '');
    const query = new URLSearchParams({ format, ...Object.fromEntries(given) });
    return fetchBlob(`${pathOf(name)}/export?${query}`);
  },
  upload,
  play: async (name) => {
    const source = replayUrl(name);
    return (await request<ListedSession>('POST', '/v1/sessions', { source })).id;
  },
};

const markersOf = (recording: string): string => `${pathOf(recording)}/markers`;

export const markerApi: MarkerApi = {
  list: (recording) => request('GET', markersOf(recording)),
  add: (recording, marker) => request('POST', markersOf(recording), marker),
  change: (recording, marker, change) =>
    request('PUT', `${markersOf(recording)}/${marker}`, change),
  remove: (recording, marker) => request('DELETE', `${markersOf(recording)}/${marker}`),
  restore: (recording, marker) => request('POST', `${markersOf(recording)}/${marker}/restore`),
};

/** Upload with XMLHttpRequest, because fetch does not report progress. */
function upload(file: File, person: string | null, onProgress: OnProgress): Upload {
  const xhr = new XMLHttpRequest();
  const query = new URLSearchParams({ name: file.name, ...(person ? { person } : {}) });
  const done = new Promise<Recording>((resolve, reject) => {
    xhr.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 0);
    xhr.onload = () => void uploaded(xhr).then(resolve, reject);
    xhr.onerror = () => reject(new Error('the connection to the service was lost'));
    xhr.onabort = () => reject(new Error('the upload was cancelled'));
    xhr.open('POST', addressOf(`/v1/uploads?${query}`));
    xhr.setRequestHeader('Content-Type', 'application/octet-stream');
    xhr.send(file);
  });
  return { done, cancel: () => xhr.abort() };
}

async function uploaded({ status, responseText }: XMLHttpRequest): Promise<Recording> {
  const response = new Response(responseText, { status });
  if (response.ok) return (await response.json()) as Recording;
  const detail = await errorDetail(response);
  throw status === 401 ? new LoginRequired(detail) : new Error(detail);
}

/** Duration in seconds, or null if unknown. `now`: milliseconds, as Date.now(). */
export function recordingSeconds(recording: Recording, now: number): number | null {
  if (recording.seconds !== null) return recording.seconds;
  if (recording.started === null) return null;
  const running = recording.state === 'recording';
  const end = running ? now : recording.ended === null ? NaN : Date.parse(recording.ended);
  const seconds = (end - Date.parse(recording.started)) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}

/** Title of a recording; without one, its name. */
export const titleOf = (recording: Recording): string => recording.title ?? recording.name;
