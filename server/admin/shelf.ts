// Owns: a few results that operators come back for, each for a while.
// Must never: keep one longer than it may live. The oldest goes when there is one too many.
import { randomUUID } from 'node:crypto';
import { CofferdamError } from '../domain/errors.ts';

type Kept<T> = { readonly id: string; readonly value: T; readonly at: number; readonly close: () => void };

export class Shelf<T> {
  readonly #max: number;
  readonly #lifeMs: number;
  readonly #kept: Kept<T>[] = [];

  constructor(max: number, lifeMs: number) {
    this.#max = max;
    this.#lifeMs = lifeMs;
  }

  put(value: T, close: () => void): string {
    const id = randomUUID();
    this.#sweep();
    while (this.#kept.length >= this.#max) this.#kept.shift()?.close();
    this.#kept.push({ id, value, at: performance.now(), close });
    return id;
  }

  get(id: string): T {
    this.#sweep();
    const found = this.#kept.find((one) => one.id === id);
    if (found === undefined) throw new CofferdamError('not-found', 'this result is not kept any more: ask again');
    return found.value;
  }

  #sweep(): void {
    while (this.#kept[0] !== undefined && performance.now() - this.#kept[0].at > this.#lifeMs) this.#kept.shift()?.close();
  }

  clear(): void {
    for (const one of this.#kept.splice(0)) one.close();
  }
}
