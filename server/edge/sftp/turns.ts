// Owns: how much work of one kind a session does at once. Further work waits in order.
import { Queue } from '../../domain/queue.ts';

export class Turns {
  #free: number;
  readonly #waiting = new Queue<() => void>();

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    // When a piece of work is done, its turn passes to the next one in line.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.take();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
