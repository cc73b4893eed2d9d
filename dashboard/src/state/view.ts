/** The main views of the page. */
export type View = 'sessions' | 'start' | 'recordings' | 'calibrate' | 'workers';
