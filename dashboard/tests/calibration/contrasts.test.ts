import { describe, expect, it } from 'vitest';
import {
  CONTRASTS,
  contrastOf,
  MAX_STATE_LENGTH,
  ownContrast,
  statesProblem,
  taskOf,
} from '../../src/calibration/contrasts';

describe('contrasts', () => {
  it('have the states and names of the service', () => {
    expect(CONTRASTS.map(({ name, tasks }) => [name, ...tasks.map(({ state }) => state)])).toEqual([
      ['calm-strained', 'calm', 'strained'],
      ['pleasant-unpleasant', 'pleasant', 'unpleasant'],
    ]);
  });

  it('keep the eyes alike in both states', () => {
    expect(CONTRASTS.map(({ eyes }) => eyes)).toEqual(['open', 'closed']);
  });

  it('are found by their name; others are of one’s own', () => {
    expect(contrastOf('calm-strained', ['calm', 'strained'])).toBe(CONTRASTS[0]);
    const own = contrastOf('own', ['reading', 'bored']);
    expect(own.tasks.map(({ state }) => state)).toEqual(['reading', 'bored']);
    expect(taskOf(own, 'bored').cue).toBe('Now: bored.');
  });
});

describe('statesProblem', () => {
  it.each([
    ['reading', 'bored'],
    ['être là', '退屈'],
    ['a', 'b-2 c_3'],
    ['x'.repeat(MAX_STATE_LENGTH), 'y'],
  ])('accepts %s and %s', (first, second) => {
    expect(statesProblem(first, second)).toBeNull();
    expect(ownContrast(first, second).tasks[1].state).toBe(second);
  });

  it.each([
    ['', 'b', 'name the first state'],
    ['a', '', 'name the second state'],
    ['a', 'A', 'different names'],
    ['a=b', 'c', 'for the first state'],
    ['a', 'c/d', 'for the second state'],
    ['x'.repeat(MAX_STATE_LENGTH + 1), 'y', 'for the first state'],
  ])('refuses %s and %s', (first, second, problem) => {
    expect(statesProblem(first, second)).toContain(problem);
  });
});
