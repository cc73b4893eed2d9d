/** The main views of the page. */
export type View =
  'sessions' | 'start' | 'recordings' | 'people' | 'calibrate' | 'study' | 'feedback' | 'workers';

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
