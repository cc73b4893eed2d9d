/**
 * Where electrodes of the 10-20 and 10-10 systems are on a head that is a sphere, seen from above.
 *
 * After Oostenveld and Praamstra 2001 (doi:10.1016/S1388-2457(00)00527-7): the equator of the names
 * runs through Fpz, T7, Oz and T8, 72° from Cz; its electrodes are 18° apart. Each row from left to
 * right is a circle through its two ends there and its middle, which are 18° apart on the midline;
 * along it the distances are the same.
 */

/** To the right and to the front; 1 is the rim of the head. */
export interface Spot {
  x: number;
  y: number;
}

type Vector = readonly [number, number, number];

/** From front to back; the middle of the fifth is Cz. */
const ROWS = ['fp', 'af', 'f', 'fc', 'c', 'cp', 'p', 'po', 'o'] as const;
const STEP = Math.PI / 10;
/** Angle of the equator of the names from Cz. */
const EQUATOR = 4 * STEP;
/** From the middle to the equator there are so many steps of a row: z, 1, 3, 5, 7. */
const STEPS = 4;
/** The 10-20 system's names for electrodes that the 10-10 system renamed. */
const OLD_NAMES: Record<string, string> = { t3: 't7', t4: 't8', t5: 'p7', t6: 'p8' };

/** The direction at `polar` from Cz and `azimuth` from the front towards the right. */
const direction = (polar: number, azimuth: number): Vector => [
  Math.sin(polar) * Math.sin(azimuth),
  Math.sin(polar) * Math.cos(azimuth),
  Math.cos(polar),
];

/** An electrode's place by its name, in any case, with decorations as in EDF files; null where unknown. */
export function spot(name: string): Spot | null {
  const bare = /^(?:eeg )?\s*([a-z0-9]+)\s*(?:-\s*(?:a1|a2|m1|m2|le|re|ref|avg))?$/.exec(
    name.trim().toLowerCase(),
  )?.[1];
  const parts = /^([a-z]+?)(z|10|[1-9])$/.exec(OLD_NAMES[bare ?? ''] ?? bare ?? '');
  if (!parts) return null;
  const number = parts[2] === 'z' ? 0 : Number(parts[2]);
  const row = rowOf(parts[1]!, number);
  if (row < 0) return null;
  const side = number % 2 ? -1 : 1;
  const steps = Math.ceil(number / 2);
  const { x, y } = seen(steps > STEPS ? below(row) : along(row, steps));
  return { x: side * x, y };
}

/** The rows beside the ears have names of their own at the sides; Fp and O have only 1, 2 and z. */
function rowOf(letters: string, number: number): number {
  const lateral = number > 6;
  if (letters === 'ft' || letters === 't' || letters === 'tp')
    return lateral ? 3 + ['ft', 't', 'tp'].indexOf(letters) : -1;
  const row = ROWS.findIndex((each) => each === letters);
  if (row === 0 || row === ROWS.length - 1) return number <= 2 ? row : -1;
  return lateral && row >= 3 && row <= 5 ? -1 : row;
}

/** On the right half of a row, `steps` from its middle. */
function along(row: number, steps: number): Vector {
  const middle = direction((4 - row) * STEP, 0);
  const end = direction(EQUATOR, (row + 1) * STEP);
  const short = row === 0 || row === ROWS.length - 1; // Fp1 and O1 end their rows
  return onCircle(middle, end, short ? steps : steps / STEPS);
}

/** One step below the equator of the names, on the rim: the electrodes 9 and 10. */
const below = (row: number): Vector => direction(EQUATOR + STEP, (row + 1) * STEP);

/** At a share of the way from the middle of a row to its end, on the circle through both ends. */
function onCircle(middle: Vector, end: Vector, share: number): Vector {
  const [width, back, low] = end;
  const rise = [middle[1] - back, middle[2] - low] as const;
  const height = Math.hypot(...rise);
  const radius = (width * width + height * height) / (2 * height);
  const angle = share * Math.atan2(width, radius - height);
  const up = (radius * (Math.cos(angle) - 1) + height) / height;
  return [radius * Math.sin(angle), back + up * rise[0], low + up * rise[1]];
}

/** From above, with true distances from Cz; the rim is 90° away from it. */
function seen([x, y, z]: Vector): Spot {
  const across = Math.hypot(x, y);
  const far = across && Math.acos(Math.min(1, z)) / (Math.PI / 2) / across;
  return { x: x * far, y: y * far };
}
