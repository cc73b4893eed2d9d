/** URL that replays a recording, given its name or its path below the service's data folder. */
export function replayUrl(recording: string): string {
  const path = recording.trim().split('/').map(encodeURIComponent).join('/');
  // hold=1 pauses at the end instead of ending the session, so that one can seek back.
  return path ? `replay://${path}?hold=1` : '';
}

/** Parameters of a source URL that still have the placeholder `..`. */
export function missingParameters(url: string): string[] {
  const query = url.split('?')[1] ?? '';
  return query
    .split('&')
    .map((pair) => pair.split('='))
    .filter(([, value]) => value === '..')
    .map(([name]) => name!);
}

/** The URL with its placeholders replaced by the values that were filled in, where there are any. */
export function fillIn(url: string, values: Readonly<Record<string, string>>): string {
  return url.replace(/([?&])([^=&]+)=\.\.(?=&|$)/g, (whole, sign: string, name: string) => {
    const value = values[name]?.trim();
    return value ? `${sign}${name}=${encodeValue(value)}` : whole;
  });
}

/**
 * The URL with the electrodes of its channels, in order; null for a channel that is left out.
 *
 * Without any electrode it is the same.
 */
export function withElectrodes(url: string, electrodes: readonly (string | null)[]): string {
  const placed = electrodes.flatMap((name, at) =>
    name === null ? [] : [{ name, number: at + 1 }],
  );
  if (!placed.length) return url;
  const names = placed.map(({ name }) => name).join(',');
  const all = placed.length === electrodes.length;
  const channels = all ? '' : `channels=${placed.map(({ number }) => number).join(',')}&`;
  return `${url}${url.includes('?') ? '&' : '?'}${channels}names=${names}`;
}

/** What comes before the parameters: the same for all sources of a kind of board. */
export const boardOf = (url: string): string => url.split('?')[0]!;

/** Slashes and colons, as in serial ports and addresses, stay readable. */
const encodeValue = (value: string): string =>
  encodeURIComponent(value).replaceAll('%2F', '/').replaceAll('%3A', ':');
