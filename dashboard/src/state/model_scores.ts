import type { OfferedModel } from '../requests/catalog';

/** One score of a model; `way` is the protocol, with what was changed in brackets. */
export interface Score {
  way: string;
  output: string;
  measure: string;
  value: number;
}

/** The protocol of people whom the model had not seen. */
const HONEST = 'subject';
const ACCURACY = 'balanced_accuracy';

/** In the service's order, which tells first what should be heard first. */
export function scoresOf({ scores }: Pick<OfferedModel, 'scores'>): Score[] {
  return Object.entries(scores).map(([name, value]) => {
    const [way = '', output = '', measure = ''] = name.split('/');
    return { way, output, measure, value };
  });
}

/** Balanced accuracy in people whom the model had not seen, each output's beside that of chance. */
export function honestScores(
  model: Pick<OfferedModel, 'scores' | 'outputs'>,
): { output: string; accuracy: number; chance: number }[] {
  return scoresOf(model)
    .filter(({ way, measure }) => way === HONEST && measure === ACCURACY)
    .map(({ output, value }) => ({
      output,
      accuracy: value,
      chance: 1 / (model.outputs[output]?.length ?? 1),
    }));
}
