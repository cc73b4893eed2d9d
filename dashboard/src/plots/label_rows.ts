/** A label on a line, from where to where it goes, and its row; null before it has one. */
export interface Label {
  from: number;
  to: number;
  row: number | null;
}

/**
 * Give labels rows in which none covers another; null to those for which no row is left.
 *
 * `labels`: the newest first, which goes before older ones. A label stays in the row that it has, as
 * long as no newer one covers it there; a new one takes the place of the oldest if all rows are taken.
 */
export function assignRows(labels: readonly Label[], rows: number): void {
  const placed: Label[][] = Array.from({ length: rows }, () => []);
  labels.forEach((label, at) => {
    const meets = ({ from, to }: Label): boolean => from <= label.to && to >= label.from;
    const isFree = (row: number): boolean => !placed[row]!.some(meets);
    if (label.row === null || !isFree(label.row)) {
      label.row = null;
      let oldest = -1;
      for (let row = 0; row < rows; row++) {
        if (!isFree(row)) continue;
        const older = labels.findIndex((each, i) => i > at && each.row === row && meets(each));
        const age = older < 0 ? Infinity : older;
        if (age > oldest) [label.row, oldest] = [row, age];
      }
    }
    if (label.row !== null) placed[label.row]!.push(label);
  });
}
