/** Verdicts in words and numbers. */
import type { AccuracyNote, HeadCard, VerdictNote } from 'mimamba-client';

const TITLES: Readonly<Record<string, string>> = {
  reliable: 'Reliable today',
  'no difference': 'No reliable difference',
  muscle: 'Muscle',
  drift: 'Drift',
  'too few': 'Too little to judge by',
  'model fits': 'The shipped model fits you',
};

/** The heading of a verdict; its name if this page does not know it. */
export const titleOf = (name: string): string => TITLES[name] ?? name;

/** The verdict's sentence without the heading that stands above it. */
export function sentenceOf({ name, sentence }: Pick<VerdictNote, 'name' | 'sentence'>): string {
  const heading = `${titleOf(name)}: `;
  return sentence.startsWith(heading) ? sentence.slice(heading.length) : sentence;
}

const HELP: Readonly<Record<string, readonly string[]>> = {
  reliable: [],
  'model fits': [],
  'no difference': [
    'Make the two states more different, so that your ratings lie further apart.',
    'Improve the contact of the electrodes, above all of those that were poor.',
    'Try another contrast. For many people and feelings nothing can be found with four electrodes.',
  ],
  muscle: [
    'Keep your face, jaw and neck soft in all blocks.',
    'Do not move your lips while you count, and do not smile or frown at a memory.',
  ],
  drift: [
    'Wait ten minutes with the headset on: electrodes settle in that time.',
    'Sit so that you need not move, and try again.',
  ],
  'too few': [
    'Improve the contact of the electrodes, and sit still, so that fewer blocks are left out.',
    'Rate how you felt, not how you should have felt. If both states feel alike, try another contrast.',
  ],
};

/** What may help next time. */
export const helpFor = ({ name }: Pick<VerdictNote, 'name'>): readonly string[] => HELP[name] ?? [];

/** Whether the output is used from now on. */
export function servedText({ name, served }: Pick<VerdictNote, 'name' | 'served'>): string {
  if (name === 'model fits')
    return 'Nothing was trained: the output of the shipped model is used as it is.';
  if (served === 'yes')
    return 'Your own output is shown beside the model’s in this session from now on.';
  return served === 'this session'
    ? 'Your own output is shown until this session ends, with this warning.'
    : 'Nothing is served.';
}

/** "76 % (62 to 88)". */
export const accuracyText = ({
  accuracy,
  interval,
}: Pick<AccuracyNote, 'accuracy' | 'interval'>): string =>
  `${whole(accuracy)} % (${whole(interval[0])} to ${whole(interval[1])})`;

/** "p .004". */
export const pText = (p: number): string =>
  p < 0.001 ? 'p below .001' : `p ${p.toFixed(3).replace(/^0/, '')}`;

const whole = (share: number): number => Math.round(100 * share);

/** Rows of a verdict's numbers. */
export function verdictRows(
  verdict: VerdictNote,
  kinds: readonly [string, string],
): [string, string][] {
  const { accuracy, interval, p, n_blocks, attempts, tests, doubtful, poor } = verdict;
  const rows: [string, string][] = [];
  if (accuracy !== null && interval !== null)
    rows.push(['Right in blocks not seen (guessing: 50 %)', accuracyText({ accuracy, interval })]);
  if (p !== null) rows.push(['Chance of such a result by guessing', pText(p)]);
  const test = (title: string, each: AccuracyNote | null | undefined): void => {
    if (each) rows.push([title, `${accuracyText(each)}, ${pText(each.p)}`]);
  };
  test('The shipped model, unchanged', verdict.model);
  test('Above 20 Hz alone (muscle)', verdict.muscle);
  test('First against second half (time)', verdict.time);
  rows.push(['Usable blocks', `${n_blocks[0]} ${kinds[0]}, ${n_blocks[1]} ${kinds[1]}`]);
  rows.push(['Ratings that contradicted their block', String(doubtful)]);
  rows.push(['Time with poor signal', `${whole(poor)} %`]);
  rows.push(['Attempts of today, pooled', String(attempts)]);
  if (tests > 1) rows.push(['Tests made, by which p is multiplied', String(tests)]);
  return rows;
}

/** State of a head in a few words. */
export function headText(
  head: Pick<HeadCard, 'served' | 'confirmed' | 'right' | 'checked'>,
): string {
  if (head.served === 'no') return 'not used';
  const checks = head.checked ? ` (${head.right} of ${head.checked} right today)` : '';
  return head.confirmed ? `holds today${checks}` : `not confirmed today${checks}`;
}
