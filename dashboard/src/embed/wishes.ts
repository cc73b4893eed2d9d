/** Parts of the view, in their order; `show` names those that are wanted. */
export const PARTS = ['session', 'state', 'share', 'reason', 'quality', 'heart'] as const;
export type Part = (typeof PARTS)[number];
const LOOKS = ['dark', 'light'] as const;
export type Look = (typeof LOOKS)[number];

/** What the address asks for. `problem`: a sentence about what it should not contain, or null. */
export interface Wishes {
  session: string;
  parts: ReadonlySet<Part>;
  /** Output whose state is shown; null for the first one. */
  output: string | null;
  look: Look;
  /** From behind the #, which a browser does not send; null without one. */
  token: string | null;
  problem: string | null;
}

const USUAL: Part[] = ['state', 'share', 'reason'];

/** Read an address such as `/embed/simulate-1?show=state,heart&output=arousal&look=light#token=…`. */
export function readWishes(address: URL): Wishes {
  const query = address.searchParams;
  const names = query.get('show')?.split(',').filter(Boolean);
  const look = query.get('look') ?? 'dark';
  return {
    session: lastName(address.pathname),
    parts: new Set(names ? PARTS.filter((part) => names.includes(part)) : USUAL),
    output: query.get('output') || null,
    look: isLook(look) ? look : 'dark',
    token: new URLSearchParams(address.hash.slice(1)).get('token') || null,
    problem: problemOf([...query.keys()], names ?? [], look),
  };
}

function problemOf(keys: string[], names: string[], look: string): string | null {
  const key = keys.find((each) => !['show', 'output', 'look'].includes(each));
  if (key !== undefined) return `Expected show, output or look in the address, but found “${key}”.`;
  const part = names.find((each) => !PARTS.some((known) => known === each));
  if (part !== undefined) return `Expected show=${PARTS.join(',')}, but found “${part}”.`;
  return isLook(look) ? null : `Expected look=dark or look=light, but found “${look}”.`;
}

const isLook = (text: string): text is Look => LOOKS.some((look) => look === text);

function lastName(path: string): string {
  const name = path.split('/').at(-1) ?? '';
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // an address typed by hand may be invalid
  }
}
