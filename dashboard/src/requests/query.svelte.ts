import { wordsOf } from './rest';

/** What was asked of the service last: the newest answer, or why there is none. */
export class Answer<T> {
  value: T | null = $state.raw(null);
  problem: string | null = $state.raw(null);
  asking = $state(false);
  private turn = 0;

  /** Wait for an answer, unless something else is asked meanwhile; it is kept while that lasts. */
  async settle(asked: Promise<T>): Promise<void> {
    const mine = ++this.turn;
    this.asking = true;
    try {
      const value = await asked;
      if (mine === this.turn) [this.value, this.problem] = [value, null];
    } catch (error) {
      if (mine === this.turn) this.problem = wordsOf(error);
    }
    if (mine === this.turn) this.asking = false;
  }
}
