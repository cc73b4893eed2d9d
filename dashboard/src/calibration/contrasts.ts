/** Pairs of states that a person can calibrate on, and what to do in each. */

import type { ContrastName } from '../requests/calibration';

/** What a person does in the blocks of one state. */
export interface Task {
  /** Name of the state, as the service knows it. */
  state: string;
  /** Read before the first block. */
  explanation: string;
  /** Shown and spoken before each block. */
  cue: string;
}

export interface Contrast {
  name: ContrastName;
  title: string;
  summary: string;
  /** The same in both states: eyes alone make a larger difference than most feelings. */
  eyes: 'open' | 'closed' | 'as they are';
  tasks: readonly [Task, Task];
}

/** State whose blocks show the breathing pacer. */
export const CALM = 'calm';
/** State whose cue shows a number to count down from. */
export const STRAINED = 'strained';

export const CALM_STRAINED: Contrast = {
  name: 'calm-strained',
  title: 'Calm – strained',
  summary: 'Slow breathing, and counting down in your head under time pressure. Eyes open.',
  eyes: 'open',
  tasks: [
    {
      state: CALM,
      explanation:
        'Breathe with the ring around the cross: in while it grows (4\u00a0s), out while it shrinks (6\u00a0s).',
      cue: 'Calm. Breathe slowly, with the ring.',
    },
    {
      state: STRAINED,
      explanation:
        'A number is shown before the block. Take the second number away from it, again and again, as fast as you can. Do not speak and do not move your lips.',
      cue: 'Strained. Count down in your head, as fast as you can.',
    },
  ],
};

export const PLEASANT_UNPLEASANT: Contrast = {
  name: 'pleasant-unpleasant',
  title: 'Pleasant – unpleasant',
  summary:
    'Two memories of each kind, relived in turn, with music of your own if you like. Eyes closed.',
  eyes: 'closed',
  tasks: [
    {
      state: 'pleasant',
      explanation:
        'Relive one of your two pleasant memories: the place, the people, the sounds. Choose them now.',
      cue: 'Pleasant. Close your eyes, and go to a pleasant memory.',
    },
    {
      state: 'unpleasant',
      explanation:
        'Relive one of your two unpleasant memories. Choose mild ones that you can leave again at any time.',
      cue: 'Unpleasant. Close your eyes, and go to an unpleasant memory.',
    },
  ],
};

export const CONTRASTS: readonly Contrast[] = [CALM_STRAINED, PLEASANT_UNPLEASANT];

/** The contrast of two states of the person's own naming. */
export function ownContrast(first: string, second: string): Contrast {
  const task = (state: string): Task => ({
    state,
    explanation: `Do what you call “${state}”, without typing, speaking or moving.`,
    cue: `Now: ${state}.`,
  });
  return {
    name: 'own',
    title: 'Two states of your own',
    summary:
      'Any two states that you can bring about while you sit still, such as two ways to think.',
    eyes: 'as they are',
    tasks: [task(first), task(second)],
  };
}

/** The contrast of this name; `states` name those of one's own. */
export const contrastOf = (name: string, [first, second]: readonly [string, string]): Contrast =>
  CONTRASTS.find((contrast) => contrast.name === name) ?? ownContrast(first, second);

/** What to do in a block of this state. */
export function taskOf({ tasks }: Contrast, state: string): Task {
  return tasks.find((task) => task.state === state) ?? ownContrast(state, state).tasks[0];
}

/** Longest name of a state. */
export const MAX_STATE_LENGTH = 40;
/** Names of states: letters and digits of any script, spaces, hyphens. */
const STATE = /^[\p{L}\p{N}](?:[\p{L}\p{N} _-]*[\p{L}\p{N}])?$/u;

/** What is wrong with two names of states, or null. */
export function statesProblem(first: string, second: string): string | null {
  for (const [which, name] of [
    ['first', first],
    ['second', second],
  ] as const) {
    if (!name) return `name the ${which} state`;
    if (name.length > MAX_STATE_LENGTH || !STATE.test(name))
      return `use up to ${MAX_STATE_LENGTH} letters, digits, spaces and hyphens for the ${which} state`;
  }
  return first.toLowerCase() === second.toLowerCase()
    ? 'give the two states different names'
    : null;
}
