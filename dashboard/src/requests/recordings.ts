import { LoginNeeded, ask, refusal } from './rest';
import type { Listed } from '../state/session.svelte';

/** A recording as in service/recordings/metadata.py. */
export interface Recording {
  name: string;
  state: 'recording' | 'finished' | 'recovered' | 'unfinished' | 'damaged' | 'uploaded' | 'unknown';
  reason: string | null;
  session: string | null;
  source: string | null;
  person: string | null;
  notes: string | null;
  model: string | null;
  /** ISO 8601; of an upload, when it came. */
  started: string | null;
  ended: string | null;
  /** The signal's length, where it is told. */
  seconds: number | null;
  bytes: number;
}

export const FORMATS = ['edf', 'bdf', 'csv', 'parquet'] as const;
export type Format = (typeof FORMATS)[number];

/** What can be done with recordings; a refusal is an Error in the service's words. */
export interface Recordings {
  list(): Promise<Recording[]>;
  read(name: string): Promise<Recording>;
  /** Record a session from now on; without a name the service makes one. */
  start(session: string, name: string | null): Promise<Recording>;
  stop(name: string): Promise<Recording>;
  remove(name: string): Promise<void>;
  /** The file in another format. */
  export(name: string, format: Format): Promise<Blob>;
  upload(file: File, person: string | null, progress: Progress): Upload;
  /** Open a session that plays it; answers its id. */
  play(name: string): Promise<string>;
}

/** The share that was sent, 0 to 1. */
export type Progress = (share: number) => void;

export interface Upload {
  done: Promise<Recording>;
  cancel(): void;
}

const pathOf = (name: string): string => `/v1/recordings/${encodeURIComponent(name)}`;

/** Where the file is downloaded from. */
export const fileOf = (name: string): string => `${pathOf(name)}/file`;

export const recordings: Recordings = {
  list: () => ask('GET', '/v1/recordings'),
  read: (name) => ask('GET', pathOf(name)),
  start: (session, name) => ask('POST', '/v1/recordings', name ? { session, name } : { session }),
  stop: (name) => ask('POST', `${pathOf(name)}/stop`),
  remove: (name) => ask('DELETE', `${pathOf(name)}?confirm=${encodeURIComponent(name)}`),
  export: async (name, format) => {
    const answer = await fetch(`${pathOf(name)}/export?format=${format}`);
    if (!answer.ok) throw new Error(await refusal(answer));
    return answer.blob();
  },
  upload: send,
  play: async (name) => {
    // Held at its end, so that one can seek from there.
    const source = `replay://${name}?hold=1`;
    return (await ask<Listed>('POST', '/v1/sessions', { source })).id;
  },
};

/** By XMLHttpRequest: fetch does not tell how much was sent. */
function send(file: File, person: string | null, progress: Progress): Upload {
  const request = new XMLHttpRequest();
  const query = new URLSearchParams({ name: file.name, ...(person ? { person } : {}) });
  const done = new Promise<Recording>((resolve, reject) => {
    request.upload.onprogress = ({ loaded, total }) => progress(total > 0 ? loaded / total : 0);
    request.onload = () => void answered(request).then(resolve, reject);
    request.onerror = () => reject(new Error('the connection to the service was lost'));
    request.onabort = () => reject(new Error('the upload was cancelled'));
    request.open('POST', `/v1/uploads?${query}`);
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.send(file);
  });
  return { done, cancel: () => request.abort() };
}

async function answered({ status, responseText }: XMLHttpRequest): Promise<Recording> {
  const answer = new Response(responseText, { status });
  if (answer.ok) return (await answer.json()) as Recording;
  const why = await refusal(answer);
  throw status === 401 ? new LoginNeeded(why) : new Error(why);
}

/** How long it is, seconds; null where nobody knows. `now` is in ms, as of Date. */
export function lengthOf(recording: Recording, now: number): number | null {
  if (recording.seconds !== null) return recording.seconds;
  if (recording.started === null) return null;
  const running = recording.state === 'recording';
  const end = running ? now : recording.ended === null ? NaN : Date.parse(recording.ended);
  const seconds = (end - Date.parse(recording.started)) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}

/** "12 kB", "3.4 MB". */
export function size(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** A state in words. */
export const stateWords: Record<Recording['state'], string> = {
  recording: 'being recorded',
  finished: 'whole',
  recovered: 'was cut off, made whole',
  unfinished: 'was cut off',
  damaged: 'damaged',
  uploaded: 'uploaded',
  unknown: 'of unknown origin',
};
