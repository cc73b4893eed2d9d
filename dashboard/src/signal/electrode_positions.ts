/**
 * Positions of 10-20 and 10-10 electrodes on a spherical head, seen from above.
 *
 * After Oostenveld and Praamstra 2001 (doi:10.1016/S1388-2457(00)00527-7): the equator runs through
 * Fpz, T7, Oz and T8, 72° from Cz, with electrodes every 18°. On the midline, rows are 18° apart.
 * Each row is a circle through its middle and its two ends on the equator, with equal distances.
 */

/** x to the right, y to the front; the rim of the head is at radius 1. */
export interface HeadPosition {
  x: number;
  y: number;
}

type Vector = readonly [number, number, number];

/** Rows from front to back; Cz is the middle of the fifth. */
const ROWS = ['fp', 'af', 'f', 'fc', 'c', 'cp', 'p', 'po', 'o'] as const;
const STEP = Math.PI / 10;
/** Angle between Cz and the equator. */
const EQUATOR = 4 * STEP;
/** Steps from the middle of a row to the equator: z, 1, 3, 5, 7. */
const STEPS = 4;
/** 10-20 names of electrodes that the 10-10 system renamed. */
const OLD_NAMES: Record<string, string> = { t3: 't7', t4: 't8', t5: 'p7', t6: 'p8' };

/** Direction at angle `polar` from Cz and `azimuth` from the front to the right. */
const direction = (polar: number, azimuth: number): Vector => [
  Math.sin(polar) * Math.sin(azimuth),
  Math.sin(polar) * Math.cos(azimuth),
  Math.cos(polar),
];

/** Position of an electrode by its name, any case, with EDF decorations ("EEG Fp1-Ref"); null if unknown. */
export function electrodePosition(name: string): HeadPosition | null {
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
  const { x, y } = project(steps > STEPS ? below(row) : along(row, steps));
  return { x: side * x, y };
}

/** Row index of a name, or -1. Near the ears the rows have other letters; Fp and O have only z, 1, 2. */
function rowOf(letters: string, number: number): number {
  const lateral = number > 6;
  if (letters === 'ft' || letters === 't' || letters === 'tp')
    return lateral ? 3 + ['ft', 't', 'tp'].indexOf(letters) : -1;
  const row = ROWS.findIndex((each) => each === letters);
  if (row === 0 || row === ROWS.length - 1) return number <= 2 ? row : -1;
  return lateral && row >= 3 && row <= 5 ? -1 : row;
}

/** Point on the right half of a row, `steps` from its middle. */
function along(row: number, steps: number): Vector {
  const middle = direction((4 - row) * STEP, 0);
  const end = direction(EQUATOR, (row + 1) * STEP);
  const short = row === 0 || row === ROWS.length - 1; // Fp2 and O2 are the ends of their rows
  return onCircle(middle, end, short ? steps : steps / STEPS);
}

/** Point one step below the equator: electrodes 9 and 10. */
const below = (row: number): Vector => direction(EQUATOR + STEP, (row + 1) * STEP);

/** Point at a share of the way from a row's middle to its end, on the circle through both ends. */
function onCircle(middle: Vector, end: Vector, share: number): Vector {
  const [width, back, low] = end;
  const rise = [middle[1] - back, middle[2] - low] as const;
  const height = Math.hypot(...rise);
  const radius = (width * width + height * height) / (2 * height);
  const angle = share * Math.atan2(width, radius - height);
  const up = (radius * (Math.cos(angle) - 1) + height) / height;
  return [radius * Math.sin(angle), back + up * rise[0], low + up * rise[1]];
}

/** Azimuthal equidistant projection from above; the rim is 90° from Cz. */
function project([x, y, z]: Vector): HeadPosition {
  const across = Math.hypot(x, y);
  const far = across && Math.acos(Math.min(1, z)) / (Math.PI / 2) / across;
  return { x: x * far, y: y * far };
}
