import { describe, expect, it } from 'vitest';
import { CALM_STRAINED, PLEASANT_UNPLEASANT } from '../../src/calibration/contrasts';
import { cueFor } from '../../src/calibration/cues';
import { progress } from './examples';

const cue = progress({ phase: 'cue', kind: 'calm' });
const block = progress({ phase: 'block', kind: 'calm' });
const rating = progress({ phase: 'rating', kind: 'calm', left: null });
const pause = progress({ phase: 'pause' });

describe('cueFor', () => {
  it('is heard at each change, and not in between', () => {
    const sounds = [cue, cue, block, block, rating, pause, { ...cue, block: 2 }].map(
      (now, n, all) => cueFor(all[n - 1] ?? null, now, CALM_STRAINED)?.sound ?? null,
    );
    expect(sounds).toEqual(['first', null, 'begin', null, 'end', null, 'first']);
  });

  it('tells the two states apart, and says the numbers', () => {
    const strained = progress({ phase: 'cue', kind: 'strained', number: 783, step: 7 });
    expect(cueFor(pause, strained, CALM_STRAINED)).toEqual({
      sound: 'second',
      text: 'Strained. Count down in your head, as fast as you can. Begin at 783, take away 7.',
    });
  });

  it('says that a block is done again', () => {
    expect(cueFor(block, pause, CALM_STRAINED)?.sound).toBe('again');
  });

  it('asks to close the eyes at rest where they are closed in the blocks', () => {
    const rest = progress({ phase: 'rest', block: 0 });
    expect(cueFor(null, rest, PLEASANT_UNPLEASANT)?.text).toContain('Close your eyes');
    expect(cueFor(null, rest, CALM_STRAINED)?.text).toContain('Look at the cross');
  });

  it('is silent about an old end, and about the middle of a block', () => {
    for (const phase of ['done', 'stopped', 'failed', 'block'] as const)
      expect(cueFor(null, progress({ phase }), CALM_STRAINED)).toBeNull();
    expect(cueFor(pause, progress({ phase: 'judging' }), CALM_STRAINED)).toBeNull();
    expect(cueFor(pause, progress({ phase: 'done' }), CALM_STRAINED)?.sound).toBe('done');
  });
});
