/** Colours of the page for canvases, which cannot use CSS variables. */
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

/** Call `use` with the colours now and after each change between light and dark; returns a stop function. */
export function watchPalette(use: (palette: Palette) => void): () => void {
  const query = dark();
  const update = (): void => use(readPalette());
  update();
  query.addEventListener('change', update);
  return () => query.removeEventListener('change', update);
}
