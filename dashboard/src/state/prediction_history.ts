import type { PredictionMessage } from 'mimamba-client';

/** Length of the history, seconds. */
export const HISTORY_SECONDS = 120;

/** History of one output: seconds before the newest prediction, and each label's probabilities. */
export interface OutputHistory {
  seconds: Float64Array;
  probabilities: Float64Array[];
}

/**
 * Predictions of the last two minutes.
 *
 * Abstentions and pauses are entries without probabilities, so that no line is drawn across them.
 */
export class PredictionHistory {
  private entries: Pick<PredictionMessage, 'timestamp' | 'outputs'>[] = [];

  /** `maxPause`: seconds without a prediction after which the line breaks. */
  constructor(private readonly maxPause: number) {}

  push(prediction: PredictionMessage): void {
    const { timestamp } = prediction;
    const outputs = prediction.status === 'ok' ? prediction.outputs : null;
    const last = this.entries.at(-1);
    if (last && timestamp - last.timestamp > this.maxPause)
      this.entries.push({ timestamp: last.timestamp, outputs: null });
    this.entries.push({ timestamp, outputs });
    while (this.entries[0]!.timestamp < timestamp - HISTORY_SECONDS) this.entries.shift();
  }

  output(name: string, labels: readonly string[]): OutputHistory {
    const newest = this.entries.at(-1)?.timestamp ?? 0;
    return {
      seconds: Float64Array.from(this.entries, (entry) => entry.timestamp - newest),
      probabilities: labels.map((label) =>
        Float64Array.from(this.entries, (entry) => entry.outputs?.[name]?.[label] ?? Number.NaN),
      ),
    };
  }
}
