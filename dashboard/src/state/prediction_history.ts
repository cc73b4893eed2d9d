import type { Prediction } from '../connection/protocol';

/** Seconds of predictions that are kept and drawn. */
export const HISTORY_SECONDS = 120;

/** One output's past: seconds before the newest prediction, and each label's probabilities. */
export interface Past {
  seconds: Float64Array;
  probabilities: Float64Array[];
}

/**
 * The last two minutes of predictions.
 *
 * An abstention and a stretch without predictions are entries without probabilities, so that no
 * line is drawn across them.
 */
export class History {
  private entries: Pick<Prediction, 'timestamp' | 'outputs'>[] = [];

  /** `pause`: seconds without a prediction that count as a break. */
  constructor(private readonly pause: number) {}

  push(prediction: Prediction): void {
    const { timestamp } = prediction;
    const outputs = prediction.status === 'ok' ? prediction.outputs : null;
    const last = this.entries.at(-1);
    if (last && timestamp - last.timestamp > this.pause)
      this.entries.push({ timestamp: last.timestamp, outputs: null });
    this.entries.push({ timestamp, outputs });
    while (this.entries[0]!.timestamp < timestamp - HISTORY_SECONDS) this.entries.shift();
  }

  past(output: string, labels: readonly string[]): Past {
    const newest = this.entries.at(-1)?.timestamp ?? 0;
    return {
      seconds: Float64Array.from(this.entries, (entry) => entry.timestamp - newest),
      probabilities: labels.map((label) =>
        Float64Array.from(this.entries, (entry) => entry.outputs?.[output]?.[label] ?? Number.NaN),
      ),
    };
  }
}
