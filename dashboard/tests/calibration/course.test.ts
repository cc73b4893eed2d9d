import { describe, expect, it } from 'vitest';
import {
  isRunning,
  newestProgress,
  placeText,
  planMinutes,
  secondsLeft,
  wholeCourse,
} from '../../src/calibration/course';
import { PLAN_LIMITS, type Plan, USUAL_PLAN } from '../../src/requests/calibration';
import { progress } from './examples';

describe('the usual plan', () => {
  it('lies within the limits, and takes some 13 minutes', () => {
    for (const name of Object.keys(USUAL_PLAN) as (keyof Plan)[]) {
      const [least, most] = PLAN_LIMITS[name];
      expect(USUAL_PLAN[name]).toBeGreaterThanOrEqual(least);
      expect(USUAL_PLAN[name]).toBeLessThanOrEqual(most);
    }
    expect(planMinutes(USUAL_PLAN)).toBe(13);
  });
});

describe('wholeCourse', () => {
  it('grows through all phases of all blocks, and ends at the end', () => {
    const steps = [progress({ phase: 'rest', block: 0, left: 60, total: 60 })];
    steps.push(progress({ phase: 'rest', block: 0, left: 1, total: 60 }));
    for (let block = 1; block <= 12; block++)
      steps.push(
        progress({ phase: 'cue', block, left: 3, total: 6 }),
        progress({ phase: 'block', block, left: 30, total: 30 }),
        progress({ phase: 'block', block, left: 2, total: 30 }),
        progress({ phase: 'rating', block, left: null, total: null }),
        progress({ phase: 'pause', block, left: 4, total: 6 }),
      );
    steps.push(progress({ phase: 'judging', block: 12, left: null, total: null }));
    const courses = steps.map((step) => wholeCourse(USUAL_PLAN, step));
    expect(courses[0]!.done).toBe(0);
    for (let n = 1; n < courses.length; n++)
      expect(courses[n]!.done).toBeGreaterThan(courses[n - 1]!.done);
    expect(courses.at(-1)!.done).toBe(courses.at(-1)!.of);
  });

  it('becomes longer with further pairs', () => {
    const at = (of: number): number =>
      wholeCourse(USUAL_PLAN, progress({ phase: 'cue', block: 3, of })).of;
    expect(at(14)).toBeGreaterThan(at(12));
  });
});

describe('secondsLeft', () => {
  it('goes on between two messages, by a second at most', () => {
    const now = progress({ phase: 'block', left: 10, total: 30 });
    expect(secondsLeft(now, 0.25)).toBe(9.75);
    expect(secondsLeft(now, 60)).toBe(9);
    expect(secondsLeft({ ...now, left: 0.5 }, 1)).toBe(0);
    expect(secondsLeft({ ...now, left: null }, 1)).toBeNull();
  });

  it('is the service’s own number at rest, where only good signal counts', () => {
    const now = progress({ phase: 'rest', left: 10, total: 60 });
    expect(secondsLeft(now, 0.5)).toBe(10);
  });
});

it('says where it is', () => {
  expect(placeText(progress({ phase: 'rest', block: 0 }))).toBe('Rest');
  expect(placeText(progress({ phase: 'block', block: 3, of: 12 }))).toBe('Block 3 of 12');
  expect(isRunning({ phase: 'rating' })).toBe(true);
  expect(isRunning({ phase: 'stopped' })).toBe(false);
});

it('takes the newest progress of the same calibration', () => {
  const [old, next] = [progress({ block: 1 }), progress({ block: 2 })];
  expect(newestProgress({ id: 'a', progress: old }, { id: 'a', progress: next })).toBe(next);
  expect(newestProgress({ id: 'a', progress: old }, { id: 'b', progress: next })).toBe(old);
  expect(newestProgress({ id: 'a', progress: old }, null)).toBe(old);
});
