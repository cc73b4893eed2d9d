/** Sources' URLs, as drivers/url.py reads them. */

/** A recording by its name, or by its path below the folder that the service may read. */
export function replayUrl(recording: string): string {
  const path = recording.trim().split('/').map(encodeURIComponent).join('/');
  // Held at its end, so that it can be moved back.
  return path ? `replay://${path}?hold=1` : '';
}

/** The parameters of a URL that still say `..`, as a board's do before they are filled in. */
export function unfilled(url: string): string[] {
  const query = url.split('?')[1] ?? '';
  return query
    .split('&')
    .map((pair) => pair.split('='))
    .filter(([, value]) => value === '..')
    .map(([name]) => name!);
}
