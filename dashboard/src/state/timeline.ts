import type { Prediction } from '../connection/protocol';

/** The predictions in a recording, as in service/api/timeline.py. */
export interface Recorded {
  model: string | null;
  /** Seconds from its beginning. */
  position: number[];
  outputs: Record<string, Record<string, (number | null)[]>>;
}

/** What a timeline draws: a probability for each name and position; NaN is a break. */
export interface Lines {
  names: string[];
  seconds: Float64Array;
  values: Float64Array[];
}

/** Places on a timeline, about as many as a screen has. */
const PLACES = 1000;
/** So many usual steps without a prediction are a break. */
const BREAK = 4;

/** Output and label of each line: of two labels one says all. */
export function drawnOf(outputs: Record<string, readonly string[]>): [string, string][] {
  return Object.entries(outputs).flatMap(([output, labels]) =>
    (labels.length === 2 ? labels.slice(1) : labels).map((label): [string, string] => [
      output,
      label,
    ]),
  );
}

/** The lines of what a recording holds. */
export function linesOf({ position, outputs }: Recorded): Lines {
  const drawn = drawnOf(
    Object.fromEntries(
      Object.entries(outputs).map(([name, labels]) => [name, Object.keys(labels)]),
    ),
  );
  const steps = position.slice(1).map((at, n) => at - position[n]!);
  const usual = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  // A place before each prediction that comes late, for the break.
  const places = position.flatMap((_, n) =>
    n > 0 && steps[n - 1]! > BREAK * usual ? [-1, n] : [n],
  );
  return {
    names: drawn.map(([output, label]) => `${output}: ${label}`),
    seconds: Float64Array.from(places, (n, at) => position[n < 0 ? places[at + 1]! : n]!),
    values: drawn.map(([output, label]) =>
      Float64Array.from(places, (n) => outputs[output]?.[label]?.[n] ?? NaN),
    ),
  };
}

/** What was predicted in this replay so far, wherever it was; a later pass replaces an earlier. */
export class Played {
  readonly lines: Lines;
  private readonly drawn: [string, string][];
  /** The place of the prediction before; none is behind this one. */
  private last = Infinity;

  constructor(
    private readonly length: number,
    outputs: Record<string, readonly string[]>,
    hop: number,
  ) {
    this.drawn = drawnOf(outputs);
    const places = Math.max(1, Math.min(PLACES, Math.ceil(length / hop)));
    this.lines = {
      names: this.drawn.map(([output, label]) => `${output}: ${label}`),
      seconds: Float64Array.from({ length: places }, (_, n) => ((n + 0.5) * length) / places),
      values: this.drawn.map(() => new Float64Array(places).fill(NaN)),
    };
  }

  push(prediction: Prediction, sfreq: number): void {
    const places = this.lines.seconds.length;
    const at = Math.floor((((prediction.index + 1) / sfreq) * places) / this.length);
    const place = Math.min(places - 1, at);
    // The page reads one prediction per frame: at high speeds some places are passed over.
    const from = place > this.last && place - this.last <= BREAK ? this.last + 1 : place;
    this.last = place;
    this.drawn.forEach(([output, label], line) => {
      const said = prediction.status === 'ok' ? prediction.outputs?.[output]?.[label] : undefined;
      this.lines.values[line]!.fill(said ?? NaN, from, place + 1);
    });
  }
}
