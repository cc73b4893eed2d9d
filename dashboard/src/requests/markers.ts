import { ask } from './rest';

/** Set a marker; `timestamp` is on the LSL clock, null means when it arrives. */
export const setMarker = (
  session: string,
  label: string,
  timestamp: number | null,
): Promise<unknown> =>
  ask('POST', `/v1/sessions/${encodeURIComponent(session)}/markers`, { label, timestamp });
