/** Quantities that feedback can follow: a label of an output, a personal state, the share of a band. */
import type { ChannelBands, QualityMessage } from 'mimamba-client';
import type { ModelInfo } from '../requests/catalog';
import type { SessionSnapshot } from '../state/session.svelte';
import { ifCurrent } from '../state/staleness';
import type { Availability } from '../text/availability';
import { sentence } from '../text/wording';

export type Band = keyof ChannelBands;
export const BANDS: readonly Band[] = ['delta', 'theta', 'alpha', 'beta', 'gamma'];
/** Score from which an electrode is good enough for feedback on a band. */
const GOOD_SCORE = 0.7;

export type Quantity =
  | { kind: 'output'; output: string; label: string }
  | { kind: 'personal'; state: string }
  | { kind: 'band'; band: Band };

export interface Choice {
  /** Value of its option. */
  key: string;
  title: string;
  quantity: Quantity;
}

const ownChoices = (head: SessionSnapshot['head']): Choice[] =>
  (head?.kinds ?? []).map((state) => ({
    key: `personal/${state}`,
    title: `own output: ${state}`,
    quantity: { kind: 'personal', state },
  }));

const outputChoices = (outputs: Record<string, string[]> | null): Choice[] =>
  Object.entries(outputs ?? {}).flatMap(([output, labels]) =>
    labels.map((label): Choice => ({
      key: `output/${output}/${label}`,
      title: `${output}: ${label}`,
      quantity: { kind: 'output', output, label },
    })),
  );

const BAND_CHOICES: readonly Choice[] = BANDS.map((band) => ({
  key: `band/${band}`,
  title: `${band}, share of the power`,
  quantity: { kind: 'band', band },
}));

/** All quantities of a session. */
export const choicesOf = ({ outputs, head }: SessionSnapshot): Choice[] => [
  ...ownChoices(head),
  ...outputChoices(outputs),
  ...BAND_CHOICES,
];

/** Quantities that belong together, by their names for the service. */
export interface QuantityGroup {
  label: string;
  choices: { name: string; title: string }[];
}

/**
 * All quantities that a study can follow: of the session, if there is one, and of the models that
 * it could have. Each name and each label of a group is there once: a session's model may have
 * other outputs than an installed one of the same name.
 */
export function quantityGroups(
  session: Pick<SessionSnapshot, 'outputs' | 'head' | 'model'> | null,
  models: readonly ModelInfo[],
): QuantityGroup[] {
  const seen = new Set<string>();
  const groups = new Map<string, QuantityGroup>();
  const add = (label: string, choices: readonly Choice[]): void => {
    for (const { title, quantity } of choices) {
      const name = quantityName(quantity, null);
      if (seen.has(name)) continue;
      seen.add(name);
      if (!groups.has(label)) groups.set(label, { label, choices: [] });
      groups.get(label)!.choices.push({ name, title });
    }
  };
  add('Own output', ownChoices(session?.head ?? null));
  add(
    session?.model ? `Outputs of ${session.model.name}` : 'Outputs',
    outputChoices(session?.outputs ?? null),
  );
  for (const { name, outputs } of models) add(`Outputs of ${name}`, outputChoices(outputs));
  add('Bands', BAND_CHOICES);
  return [...groups.values()];
}

/** Whether a name for the service is that of a band. */
export const isBand = (name: string): boolean => name.startsWith('band/');

/** A name for the service, without the electrode of a band, and that electrode: null for all. */
export function splitName(name: string): { base: string; channel: string | null } {
  const [kind, band, ...rest] = name.split('/');
  return kind === 'band' && rest.length > 0
    ? { base: `band/${band}`, channel: rest.join('/') }
    : { base: name, channel: null };
}

/** Name of a quantity for the service, as in rules; `channel` is the electrode of a band, null for all. */
export function quantityName(quantity: Quantity, channel: string | null): string {
  if (quantity.kind === 'output') return `${quantity.output}/${quantity.label}`;
  if (quantity.kind === 'personal') return `personal/${quantity.state}`;
  return channel === null ? `band/${quantity.band}` : `band/${quantity.band}/${channel}`;
}

/** A value from 0 to 1, or the reason why there is none. */
export type Reading = { value: number } | { value: null; reason: string };

const none = (reason: string): Reading => ({ value: null, reason: sentence(reason) });

/**
 * The value of a quantity now. There is none while the model abstains or an electrode is bad.
 *
 * `channel`: the electrode of a band; null for the mean of `used`.
 */
export function readingOf(
  quantity: Quantity,
  channel: string | null,
  used: readonly string[],
  snapshot: SessionSnapshot,
  availability: Availability,
  age: number | null,
): Reading {
  if (quantity.kind === 'band')
    return bandReading(quantity.band, channel === null ? used : [channel], snapshot, age);
  if (quantity.kind === 'output') {
    if (!availability.available) return none(`${availability.title}. ${availability.reason}`);
    const value = availability.outputs[quantity.output]?.[quantity.label];
    return value === undefined ? none('the model has no such output') : { value };
  }
  if (!availability.available && !availability.current)
    return none(`${availability.title}. ${availability.reason}`);
  const personal = snapshot.prediction?.personal;
  const value = personal?.probabilities?.[quantity.state];
  return value === undefined
    ? none(personal?.reason ?? 'your own output has no value yet')
    : { value };
}

function bandReading(
  band: Band,
  channels: readonly string[],
  snapshot: SessionSnapshot,
  age: number | null,
): Reading {
  const quality = ifCurrent(snapshot, snapshot.quality, age);
  const bands = ifCurrent(snapshot, snapshot.bands, age);
  if (!quality || !bands) return none('no current measurement');
  const bad = channels.find((name) => !isGood(quality, name));
  if (bad !== undefined) return none(`${bad}: ${quality.channels[bad]?.reason ?? 'poor signal'}`);
  const shares = channels.map((name) => shareOf(bands.channels[name], band));
  const known = shares.filter((share) => share !== null);
  if (known.length === 0 || known.length < shares.length) return none('too little signal');
  return { value: known.reduce((sum, share) => sum + share, 0) / known.length };
}

const isGood = ({ channels }: QualityMessage, name: string): boolean =>
  (channels[name]?.score ?? 0) >= GOOD_SCORE;

/** Share of a band in the power of 1 to 40 Hz; null without a value. */
function shareOf(bands: ChannelBands | undefined, band: Band): number | null {
  const power = bands?.[band] ?? null;
  if (!bands || power === null) return null;
  const total = BANDS.reduce((sum, each) => sum + (bands[each] ?? 0), 0);
  return total > 0 ? power / total : null;
}
