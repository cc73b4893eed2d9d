/** The main views of the page. */
export type View =
  | 'sessions'
  | 'start'
  | 'recordings'
  | 'people'
  | 'calibrate'
  | 'study'
  | 'feedback'
  | 'workers'
  | 'access';

const KEY = 'mimamba view';

/** View to begin with: that of studies after a reload, as one may be going on. */
export function firstView(): View {
  try {
    return sessionStorage.getItem(KEY) === 'study' ? 'study' : 'sessions';
  } catch {
    return 'sessions'; // a browser may forbid storage
  }
}

/** Note the view for a reload of this tab. */
export function noteView(view: View): void {
  try {
    sessionStorage.setItem(KEY, view);
  } catch {
    // the page begins with the sessions then
  }
}

const CODE = 'watch=';

/** One-time code behind the # of an address, which browsers do not send; null without one. */
export function codeIn(hash: string): string | null {
  const text = hash.slice(1);
  return text.startsWith(CODE) ? text.slice(CODE.length) : null;
}

/** Session behind the # of an address; null without one. */
export function sessionIn(hash: string): string | null {
  if (codeIn(hash) !== null) return null;
  try {
    return decodeURIComponent(hash.slice(1)) || null;
  } catch {
    return null; // a hash typed by hand may be invalid
  }
}
