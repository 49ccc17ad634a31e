// Owns: the one queue of the product: first in, first out. Its cost for each item is constant on average, at any length.
// Must never: move the waiting items when one leaves. Shifting an array costs its whole length each time, so a client
// that fills the queue could stop the process that serves everybody (T-34).

/** With fewer removed items than this the array is not compacted, because compacting a short array gains nothing. */
const spentMin = 1024;

export class Queue<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  first(): T | undefined {
    return this.#items[this.#head];
  }

  /** Replaces the first item with what remains of it. */
  replaceFirst(item: T): void {
    if (this.length > 0) this.#items[this.#head] = item;
  }

  replaceLast(item: T): void {
    if (this.length > 0) this.#items[this.#items.length - 1] = item;
  }

  /** Removes and returns the first item, or returns undefined when the queue is empty. */
  take(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    // The slot of a removed item is cleared, so that it does not keep the item in memory.
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) this.clear();
    else if (this.#head >= spentMin && this.#head * 2 >= this.#items.length) {
      // At least as many items have left as are copied, so the cost of each item stays constant.
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Removes and returns the first `count` items, or all when there are fewer. */
  takeMany(count: number): T[] {
    const taken: T[] = [];
    while (taken.length < count && this.length > 0) taken.push(this.take() as T);
    return taken;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
  }
}
