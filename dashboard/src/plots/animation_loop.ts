/** Called in an animation frame; `time` in milliseconds, from the browser. */
export type Frame = (time: number) => void;

/** Pause after each frame: 30 frames a second on a display of 60 Hz. */
const PAUSE_MS = 20;
/** The same with reduced motion: 10 frames a second. */
const CALM_PAUSE_MS = 90;
/** Least time between two snapshots, in the third frame after one: nobody reads faster text. */
const SNAPSHOT_MS = 90;

/**
 * The animation loop of the page. Everything is drawn from here.
 *
 * Chunks of signal come some 20 times a second. A frame at each refresh of the display would only
 * keep the processor awake.
 */
export class AnimationLoop {
  private readonly listeners = new Set<Frame>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private request = 0;
  private readonly calm = matchMedia('(prefers-reduced-motion: reduce)');

  start(): void {
    const run: Frame = (time) => {
      this.timer = setTimeout(next, this.calm.matches ? CALM_PAUSE_MS : PAUSE_MS);
      for (const listener of this.listeners) listener(time);
    };
    const next = (): void => {
      this.request = requestAnimationFrame(run);
    };
    next();
  }

  stop(): void {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.request);
  }

  /** Add a listener; returns a function that removes it. */
  add(listener: Frame): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Call `publish` ten times a second; with reduced motion, the page's ticks are enough. */
  addSnapshots(publish: () => void): () => void {
    let last = -Infinity;
    return this.add((time) => {
      if (this.calm.matches || time - last < SNAPSHOT_MS) return;
      last = time;
      publish();
    });
  }
}
