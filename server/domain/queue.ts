// Owns: the queue class of the product: first in, first out. The cost for each item is constant on average, at any
// length.
// Must never: move the waiting items whenever one leaves. Shifting an array costs its whole length each time, so a
// client that fills the queue could stop the process that serves everybody (T-34).

export class Queue<T> {
  /** The items that came last, in their order. */
  #arriving: T[] = [];
  /**
   * The items before them, in reverse order: the first of all stands at the end, where it leaves without moving
   * another.
   */
  #leaving: T[] = [];

  get length(): number {
    return this.#leaving.length + this.#arriving.length;
  }

  push(item: T): void {
    this.#arriving.push(item);
  }

  first(): T | undefined {
    this.#turn();
    return this.#leaving.at(-1);
  }

  /** Replaces the first item with what remains of it. */
  replaceFirst(item: T): void {
    if (this.length === 0) return;
    this.take();
    this.#leaving.push(item);
  }

  replaceLast(item: T): void {
    if (this.#arriving.length > 0) {
      this.#arriving.pop();
      this.#arriving.push(item);
    } else if (this.#leaving.length > 0) this.#leaving[0] = item;
  }

  /** Removes and returns the first item, or returns undefined when the queue is empty. */
  take(): T | undefined {
    this.#turn();
    return this.#leaving.pop();
  }

  /** Removes and returns the first `count` items, or all when there are fewer. */
  takeMany(count: number): T[] {
    const taken: T[] = [];
    while (taken.length < count && this.length > 0) taken.push(this.take() as T);
    return taken;
  }

  clear(): void {
    this.#arriving = [];
    this.#leaving = [];
  }

  /** Each item is moved here once, so the cost of each item stays constant. */
  #turn(): void {
    if (this.#leaving.length === 0) [this.#leaving, this.#arriving] = [this.#arriving.reverse(), this.#leaving];
  }
}
