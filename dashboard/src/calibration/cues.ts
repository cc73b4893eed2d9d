/** What a person hears at each change of phase. */
import type { CalibrationProgress } from 'mimamba-client';
import { type Contrast, STRAINED, taskOf } from './contrasts';
import type { Sound } from './sounds';

export interface Cue {
  sound: Sound;
  /** Spoken where the device has a voice of its own; null for tones only. */
  text: string | null;
}

/** Cue for a change from one progress to the next; null for none. `before` is null at first. */
export function cueFor(
  before: CalibrationProgress | null,
  now: CalibrationProgress,
  contrast: Contrast,
): Cue | null {
  if (before?.phase === now.phase && before.block === now.block) return null;
  switch (now.phase) {
    case 'rest':
      return { sound: 'begin', text: restText(contrast) };
    case 'cue':
      return now.kind === null ? null : blockCue(now, now.kind, contrast);
    case 'block':
      return before && { sound: 'begin', text: null };
    case 'rating':
      return { sound: 'end', text: 'How did you feel?' };
    case 'pause':
      return before?.phase === 'block'
        ? { sound: 'again', text: 'The signal was poor. This block is done again.' }
        : null;
    case 'done':
      return before && { sound: 'done', text: 'That was all.' };
    case 'stopped':
    case 'failed':
      return before && { sound: 'end', text: 'The calibration has stopped.' };
    case 'judging':
      return null;
  }
}

function blockCue({ number, step }: CalibrationProgress, kind: string, contrast: Contrast): Cue {
  const { cue } = taskOf(contrast, kind);
  const sound = kind === contrast.tasks[0].state ? 'first' : 'second';
  const count =
    kind === STRAINED && number !== null ? ` Begin at ${number}, take away ${step}.` : '';
  return { sound, text: cue + count };
}

/** What to do at rest. */
export const restText = ({ eyes }: Contrast): string =>
  eyes === 'closed'
    ? 'Rest. Close your eyes and sit still.'
    : 'Rest. Look at the cross and sit still.';
