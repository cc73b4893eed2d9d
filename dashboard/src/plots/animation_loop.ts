/** Called at most once per animation frame, `time` in milliseconds as the browser gives it. */
export type Frame = (time: number) => void;

/** The page's one animation loop: all that is drawn is drawn from here. */
export class Frames {
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

  /** Returns how to leave again. */
  add(listener: Frame): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
