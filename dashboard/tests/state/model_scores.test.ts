import { describe, expect, it } from 'vitest';
import { allScores, unseenPeopleScores } from '../../src/state/model_scores';

const model = {
  outputs: { valence: ['low', 'high'], mood: ['sad', 'so', 'glad'] },
  scores: {
    'subject/mood/balanced_accuracy': 0.5,
    'subject/mood/ece': 0.1,
    'subject (smoothed)/valence/balanced_accuracy': 0.8,
    'within/valence/balanced_accuracy': 0.9,
  },
};

describe('model scores', () => {
  it('of unseen people come with the chance level', () =>
    expect(unseenPeopleScores(model)).toEqual([{ output: 'mood', accuracy: 0.5, chance: 1 / 3 }]));

  it('keep the order of the service', () =>
    expect(allScores(model)[2]).toEqual({
      protocol: 'subject (smoothed)',
      output: 'valence',
      measure: 'balanced_accuracy',
      value: 0.8,
    }));
});
