import { messageOf } from './rest';

/** Result of the latest request: its value, or the reason for its failure. */
export class Query<T> {
  value: T | null = $state.raw(null);
  problem: string | null = $state.raw(null);
  pending = $state(false);
  private count = 0;

  /** Wait for a request; its result is ignored if another one was started meanwhile. */
  async settle(request: Promise<T>): Promise<void> {
    const own = ++this.count;
    this.pending = true;
    try {
      const value = await request;
      if (own === this.count) [this.value, this.problem] = [value, null];
    } catch (error) {
      if (own === this.count) this.problem = messageOf(error);
    }
    if (own === this.count) this.pending = false;
  }
}
