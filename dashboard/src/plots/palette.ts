/** The page's colours for what is drawn on a canvas, which knows no CSS variables. */
export interface Palette {
  ink: string;
  soft: string;
  line: string;
  trace: string;
  gap: string;
  marker: string;
}

const dark = (): MediaQueryList => matchMedia('(prefers-color-scheme: dark)');

function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string): string => style.getPropertyValue(name).trim();
  return {
    ink: of('--ink'),
    soft: of('--soft'),
    line: of('--line'),
    trace: of('--bar'),
    gap: of('--gap'),
    marker: of('--marker'),
  };
}

/** Calls with the colours now and whenever light turns to dark; returns how to stop. */
export function watchPalette(use: (palette: Palette) => void): () => void {
  const query = dark();
  const renew = (): void => use(readPalette());
  renew();
  query.addEventListener('change', renew);
  return () => query.removeEventListener('change', renew);
}
