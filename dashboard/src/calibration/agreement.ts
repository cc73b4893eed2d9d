/** Agreement of predictions and ratings in words. */
import type { Agreement } from '../requests/calibration';

/** Ratings from which an agreement is shown. */
export const LEAST_RATINGS = 8;

const number = (value: number): string => value.toFixed(2).replace('-', '−');

function measure(name: string, value: number | null, interval: [number, number] | null): string {
  if (value === null) return `${name} unknown`;
  const range = interval ? ` (${number(interval[0])} to ${number(interval[1])})` : '';
  return `${name} ${number(value)}${range}`;
}

/** "8 ratings: rank correlation 0.40 (−0.10 to 0.70), concordance 0.30 (…), of your own output". */
export const agreementText = (agreement: Agreement): string =>
  `${agreement.n} ratings: ${measure('rank correlation', agreement.spearman, agreement.spearman_interval)}, ` +
  `${measure('concordance', agreement.ccc, agreement.ccc_interval)}, with ` +
  (agreement.source === 'personal' ? 'your own output' : 'the model’s output');
