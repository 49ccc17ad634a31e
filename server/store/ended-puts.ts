// Owns: the puts that edges have sent completely (frame `end`) and that are not answered yet. They are answered before
// the store stops, if there is time.
// Must never: keep the store from stopping for longer than it may.
import { happens } from '../domain/bounded.ts';
import { detach, unexpected } from '../domain/detached.ts';

export class EndedPuts {
  readonly #unanswered = new Set<Promise<void>>();
  #isClosing = false;

  /** True from when the store was asked to stop: no put may begin any more. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** Keeps a put that was ended until `answering` has resolved, which must not reject. */
  add(answering: Promise<void>): void {
    this.#unanswered.add(answering);
    detach(
      answering.then(() => this.#unanswered.delete(answering)),
      unexpected,
    );
  }

  /**
   * Lets no put begin any more. Resolves when those that were ended are answered, and after `withinMs` milliseconds at
   * the latest. Returns how many are not answered.
   */
  async close(withinMs: number): Promise<number> {
    this.#isClosing = true;
    const end = performance.now() + withinMs;
    while (this.#unanswered.size > 0 && performance.now() < end)
      await happens(end - performance.now(), Promise.all(this.#unanswered));
    return this.#unanswered.size;
  }
}
