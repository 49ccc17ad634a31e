// Owns: one lane per upload: its calls run one after the other, different uploads beside each other.
import { detach, unexpected } from '../../domain/detached.ts';

export class Lanes {
  readonly #tails = new Map<string, Promise<unknown>>();

  run<T>(lane: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(lane) ?? Promise.resolve();
    const result = before.then(work, work);
    const tail = result.catch(() => {});
    this.#tails.set(lane, tail);
    detach(
      tail.then(() => {
        if (this.#tails.get(lane) === tail) this.#tails.delete(lane);
      }),
      unexpected,
    );
    return result;
  }
}
