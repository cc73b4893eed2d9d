import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AnimationLoop } from '../../src/plots/animation_loop';

const REFRESH_MS = 1000 / 60;
let calm = false;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('matchMedia', () => ({
    get matches() {
      return calm;
    },
  }));
  // A display of 60 Hz, by the clock of the fake timers.
  vi.stubGlobal('requestAnimationFrame', (frame: (time: number) => void) => {
    const next = (Math.floor(performance.now() / REFRESH_MS) + 1) * REFRESH_MS;
    return setTimeout(() => frame(next), next - performance.now());
  });
  vi.stubGlobal('cancelAnimationFrame', clearTimeout);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Frames and snapshots of so many seconds. */
function count(seconds: number): { frames: number; snapshots: number } {
  const counts = { frames: 0, snapshots: 0 };
  const loop = new AnimationLoop();
  loop.add(() => (counts.frames += 1));
  loop.addSnapshots(() => (counts.snapshots += 1));
  loop.start();
  vi.advanceTimersByTime(1000 * seconds);
  loop.stop();
  const seen = { ...counts };
  vi.advanceTimersByTime(1000);
  expect(counts).toEqual(seen);
  return counts;
}

test('draws 30 times a second, and publishes up to ten times', () => {
  calm = false;
  const { frames, snapshots } = count(10);
  expect(frames).toBeGreaterThan(250);
  expect(frames).toBeLessThanOrEqual(300);
  expect(snapshots).toBeGreaterThan(90);
  expect(snapshots).toBeLessThanOrEqual(100);
});

test('draws ten times a second with reduced motion, and leaves snapshots to the ticks', () => {
  calm = true;
  const { frames, snapshots } = count(10);
  expect(frames).toBeGreaterThan(80);
  expect(frames).toBeLessThanOrEqual(100);
  expect(snapshots).toBe(0);
});

test('calls a listener no more once it is removed', () => {
  calm = false;
  const loop = new AnimationLoop();
  let calls = 0;
  const remove = loop.add(() => (calls += 1));
  loop.start();
  vi.advanceTimersByTime(100);
  const before = calls;
  remove();
  vi.advanceTimersByTime(100);
  loop.stop();
  expect(calls).toBe(before);
  expect(before).toBeGreaterThan(0);
});
