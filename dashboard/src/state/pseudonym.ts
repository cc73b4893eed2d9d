import type { Person } from '../requests/catalog';

/** What a person may be called, as service/storage/private_files.py has it. */
export const PSEUDONYM = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,79}[A-Za-z0-9_-])?$/;

/** What is known of a person, or what will become of a name that nobody has. */
export function personWords(name: string, people: readonly Person[]): string {
  if (!name) return 'Nobody: no baseline is kept.';
  if (!PSEUDONYM.test(name))
    return 'Up to 81 letters, digits, “-”, “_” and “.”, as P01; no real name.';
  const known = people.find(({ person }) => person === name);
  if (!known) return `${name} is new, and will be known from now on.`;
  if (known.damaged) return known.damaged;
  const rests = known.baselines.map(
    ({ seconds, montage, taken }) =>
      `${seconds} s of rest (${montage.join(', ')}, ${taken.slice(0, 10)})`,
  );
  return `${name} is known: ${rests.join('; ') || 'no rest is kept'}.`;
}
