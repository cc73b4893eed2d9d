import type { FeedbackRun } from './study_requests';
import { percent, plural } from '../text/wording';

/** Feedback of a finished recording in words: whose values it was, and for how long it was on. */
export function outcomeText({
  source,
  sham,
  sham_from,
  passes,
  began,
  ended,
  on,
  silent,
}: FeedbackRun): string {
  const from = sham_from > 0 ? `, from ${sham_from.toFixed(1)} s on` : '';
  const again = passes > 1 ? `, ${plural(passes, 'pass', 'passes')}` : '';
  const values =
    source === 'sham'
      ? `It was a sham: values of the recording ${sham}${from}${again}.`
      : 'It was real: values of this headset.';
  const share = (seconds: number): string => percent(ended > began ? seconds / (ended - began) : 0);
  return `${values} There was feedback in ${share(on)} of the time, and no value in ${share(silent)}.`;
}
