/** The screen is kept on while a headset is read, where the browser can do that. */
export class WakeLock {
  private sentinel: WakeLockSentinel | null = null;
  private wanted = false;

  constructor(private readonly onChange: (held: boolean) => void) {}

  /** Keep the screen on. The browser lets go when the page is hidden: call it again then. */
  hold(): void {
    this.wanted = true;
    if (!this.sentinel && 'wakeLock' in navigator) void this.request();
  }

  release(): void {
    this.wanted = false;
    void this.sentinel?.release();
  }

  private async request(): Promise<void> {
    try {
      this.sentinel = await navigator.wakeLock.request('screen');
    } catch {
      return; // the page is hidden, or the battery is low
    }
    this.sentinel.addEventListener('release', () => {
      this.sentinel = null;
      if (this.wanted) this.onChange(false);
    });
    if (this.wanted) this.onChange(true);
    else this.release();
  }
}
