import type { ModelInfo } from '../requests/catalog';

/** One score of a model. `protocol` may have its options in brackets. */
export interface Score {
  protocol: string;
  output: string;
  measure: string;
  value: number;
}

/** Evaluation on people who were not in the training data. */
const UNSEEN_PEOPLE = 'subject';
const ACCURACY = 'balanced_accuracy';

/** All scores, in the service's order: most important first. */
export function allScores({ scores }: Pick<ModelInfo, 'scores'>): Score[] {
  return Object.entries(scores).map(([name, value]) => {
    const [protocol = '', output = '', measure = ''] = name.split('/');
    return { protocol, output, measure, value };
  });
}

/** Balanced accuracy on unseen people for each output, with its chance level. */
export function unseenPeopleScores(
  model: Pick<ModelInfo, 'scores' | 'outputs'>,
): { output: string; accuracy: number; chance: number }[] {
  return allScores(model)
    .filter(({ protocol, measure }) => protocol === UNSEEN_PEOPLE && measure === ACCURACY)
    .map(({ output, value }) => ({
      output,
      accuracy: value,
      chance: 1 / (model.outputs[output]?.length ?? 1),
    }));
}
