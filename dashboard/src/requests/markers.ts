import { request } from './rest';

/** Set a marker at `timestamp` (LSL time, seconds); null means on arrival. */
export const setMarker = (
  session: string,
  label: string,
  timestamp: number | null,
): Promise<unknown> =>
  request('POST', `/v1/sessions/${encodeURIComponent(session)}/markers`, { label, timestamp });
