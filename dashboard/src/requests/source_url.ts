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
