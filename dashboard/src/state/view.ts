/** The parts of the page, of which one is seen at a time. */
export type Place = 'sessions' | 'start' | 'recordings';
