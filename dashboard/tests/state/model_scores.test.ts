import { describe, expect, it } from 'vitest';
import { honestScores, scoresOf } from '../../src/state/model_scores';

const model = {
  outputs: { valence: ['low', 'high'], mood: ['sad', 'so', 'glad'] },
  scores: {
    'subject/mood/balanced_accuracy': 0.5,
    'subject/mood/ece': 0.1,
    'subject (smoothed)/valence/balanced_accuracy': 0.8,
    'within/valence/balanced_accuracy': 0.9,
  },
};

describe('scores', () => {
  it('are honest where the people were new, beside what chance would have', () =>
    expect(honestScores(model)).toEqual([{ output: 'mood', accuracy: 0.5, chance: 1 / 3 }]));

  it('keep the order of the service', () =>
    expect(scoresOf(model)[2]).toEqual({
      way: 'subject (smoothed)',
      output: 'valence',
      measure: 'balanced_accuracy',
      value: 0.8,
    }));
});
