import type { PredictionMessage } from 'mimamba-client';

/** Seconds for which every prediction is kept. */
export const HISTORY_SECONDS = 120;
/** Longest history, seconds: hours of a session. */
export const LONGEST_SECONDS = 8 * 3600;
/** Seconds of which a longer history has the mean. */
export const BIN_SECONDS = 10;

/** History of one output: seconds before the newest prediction, and each label's probabilities. */
export interface OutputHistory {
  seconds: Float64Array;
  probabilities: Float64Array[];
}

type Outputs = Record<string, Record<string, number>>;

/** Sums of the predictions of some seconds, all from one model. */
interface Bin {
  /** Number of the bin since time 0. */
  at: number;
  count: number;
  sums: Outputs;
}

/**
 * Predictions of the last two minutes, and for hours their means over some seconds.
 *
 * Abstentions and pauses are entries without probabilities, so that no line is drawn across them.
 */
export class PredictionHistory {
  private entries: Pick<PredictionMessage, 'timestamp' | 'outputs'>[] = [];
  private bins: Bin[] = [];

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
    this.sum(timestamp, outputs ?? null);
  }

  /** One output over some seconds: beyond two minutes, as means. */
  output(name: string, labels: readonly string[], span = HISTORY_SECONDS): OutputHistory {
    const newest = this.entries.at(-1)?.timestamp ?? 0;
    if (span > HISTORY_SECONDS) return this.means(name, labels, newest, span);
    return {
      seconds: Float64Array.from(this.entries, (entry) => entry.timestamp - newest),
      probabilities: labels.map((label) =>
        Float64Array.from(this.entries, (entry) => entry.outputs?.[name]?.[label] ?? Number.NaN),
      ),
    };
  }

  private sum(timestamp: number, outputs: Outputs | null): void {
    const at = Math.floor(timestamp / BIN_SECONDS);
    let bin = this.bins.at(-1);
    if (bin?.at !== at) {
      if (bin && at > bin.at + 1) this.bins.push({ at: bin.at + 1, count: 0, sums: {} });
      bin = { at, count: 0, sums: {} };
      this.bins.push(bin);
      while (this.bins[0]!.at < at - LONGEST_SECONDS / BIN_SECONDS) this.bins.shift();
    }
    if (!outputs) return;
    bin.count++;
    for (const [name, labels] of Object.entries(outputs)) {
      const sums = (bin.sums[name] ??= {});
      for (const [label, value] of Object.entries(labels)) sums[label] = (sums[label] ?? 0) + value;
    }
  }

  private means(
    name: string,
    labels: readonly string[],
    newest: number,
    span: number,
  ): OutputHistory {
    const bins = this.bins.filter(({ at }) => (at + 1) * BIN_SECONDS > newest - span);
    return {
      // A mean stands in the middle of its seconds; those of the newest are not over yet.
      seconds: Float64Array.from(bins, ({ at }) => Math.min(0, (at + 0.5) * BIN_SECONDS - newest)),
      probabilities: labels.map((label) =>
        Float64Array.from(bins, ({ sums, count }) => (sums[name]?.[label] ?? Number.NaN) / count),
      ),
    };
  }
}
