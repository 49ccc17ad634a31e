// Owns: one lane for each upload. The calls of one upload run one after the other, those of different uploads at the
// same time.
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
