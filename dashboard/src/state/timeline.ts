import type { PredictionMessage } from 'mimamba-client';
import type { RecordedPredictions } from '../requests/replay';

/** Lines of a timeline: a probability for each name and position; NaN breaks the line. */
export interface ProbabilityLines {
  names: string[];
  seconds: Float64Array;
  values: Float64Array[];
}

/** Points of a timeline, about one per pixel. */
const POINTS = 1000;
/** The line breaks after this many median steps without a prediction. */
const BREAK = 4;

/** Output and label of each line. Of two labels only the second is drawn: the first adds nothing. */
export function drawnLabels(outputs: Record<string, readonly string[]>): [string, string][] {
  return Object.entries(outputs).flatMap(([output, labels]) =>
    (labels.length === 2 ? labels.slice(1) : labels).map((label): [string, string] => [
      output,
      label,
    ]),
  );
}

/** Lines of the predictions stored in a recording. */
export function recordedLines({ position, outputs }: RecordedPredictions): ProbabilityLines {
  const drawn = drawnLabels(
    Object.fromEntries(
      Object.entries(outputs).map(([name, labels]) => [name, Object.keys(labels)]),
    ),
  );
  const steps = position.slice(1).map((at, n) => at - position[n]!);
  const median = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  // -1 stands for a break before a prediction that comes late.
  const points = position.flatMap((_, n) =>
    n > 0 && steps[n - 1]! > BREAK * median ? [-1, n] : [n],
  );
  return {
    names: drawn.map(([output, label]) => `${output}: ${label}`),
    seconds: Float64Array.from(points, (n, at) => position[n < 0 ? points[at + 1]! : n]!),
    values: drawn.map(([output, label]) =>
      Float64Array.from(points, (n) => outputs[output]?.[label]?.[n] ?? NaN),
    ),
  };
}

/** Lines of the predictions made in this replay; a later pass replaces an earlier one. */
export class ReplayedPredictions {
  readonly lines: ProbabilityLines;
  private readonly drawn: [string, string][];
  /** Point of the previous prediction; before the first one, no point is after it. */
  private last = Infinity;

  /** `length` of the recording and `hop` of the model, both in seconds. */
  constructor(
    private readonly length: number,
    outputs: Record<string, readonly string[]>,
    hop: number,
  ) {
    this.drawn = drawnLabels(outputs);
    const points = Math.max(1, Math.min(POINTS, Math.ceil(length / hop)));
    this.lines = {
      names: this.drawn.map(([output, label]) => `${output}: ${label}`),
      seconds: Float64Array.from({ length: points }, (_, n) => ((n + 0.5) * length) / points),
      values: this.drawn.map(() => new Float64Array(points).fill(NaN)),
    };
  }

  push(prediction: PredictionMessage, sfreq: number): void {
    const points = this.lines.seconds.length;
    const at = Math.floor((((prediction.index + 1) / sfreq) * points) / this.length);
    const point = Math.min(points - 1, at);
    // The page reads one prediction per frame, so at high speeds it has to fill in some points.
    const from = point > this.last && point - this.last <= BREAK ? this.last + 1 : point;
    this.last = point;
    this.drawn.forEach(([output, label], line) => {
      const value = prediction.status === 'ok' ? prediction.outputs?.[output]?.[label] : undefined;
      this.lines.values[line]!.fill(value ?? NaN, from, point + 1);
    });
  }
}
