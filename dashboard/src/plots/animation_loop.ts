/** Called once per animation frame; `time` in milliseconds, from the browser. */
export type Frame = (time: number) => void;

/** The animation loop of the page. Everything is drawn from here. */
export class AnimationLoop {
  private readonly listeners = new Set<Frame>();
  private request = 0;

  start(): void {
    const run: Frame = (time) => {
      this.request = requestAnimationFrame(run);
      for (const listener of this.listeners) listener(time);
    };
    this.request = requestAnimationFrame(run);
  }

  stop(): void {
    cancelAnimationFrame(this.request);
  }

  /** Add a listener; returns a function that removes it. */
  add(listener: Frame): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
