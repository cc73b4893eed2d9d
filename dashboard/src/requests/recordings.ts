import { LoginRequired, addressOf, errorDetail, request } from './rest';
import type { ListedSession } from './sessions';
import { replayUrl } from './source_url';

export interface Recording {
  name: string;
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

/** Recording requests. They throw an Error with the service's error detail. */
export interface RecordingApi {
  list(): Promise<Recording[]>;
  read(name: string): Promise<Recording>;
  /** Record a session from now on; without a name the service makes one. */
  start(session: string, name: string | null): Promise<Recording>;
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

/** URL for downloading a report on the recording: one HTML file with pictures. */
export const reportOf = (name: string): string => addressOf(`${pathOf(name)}/report`);

export const recordingApi: RecordingApi = {
  list: () => request('GET', '/v1/recordings'),
  read: (name) => request('GET', pathOf(name)),
  start: (session, name) =>
    request('POST', '/v1/recordings', name ? { session, name } : { session }),
  stop: (name) => request('POST', `${pathOf(name)}/stop`),
  remove: (name) => request('DELETE', `${pathOf(name)}?confirm=${encodeURIComponent(name)}`),
  export: async (name, format, facts) => {
    const given = Object.entries(facts ?? {}).filter(([, value]) => value !== '');
    const query = new URLSearchParams({ format, ...Object.fromEntries(given) });
    const response = await fetch(addressOf(`${pathOf(name)}/export?${query}`));
    if (!response.ok) throw new Error(await errorDetail(response));
    return response.blob();
  },
  upload,
  play: async (name) => {
    const source = replayUrl(name);
    return (await request<ListedSession>('POST', '/v1/sessions', { source })).id;
  },
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
