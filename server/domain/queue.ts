// Owns: the one queue of the product: first in, first out, in constant time whatever its length.
// Must never: move what waits when something leaves. An array that is shifted from its front costs its length each time, and whoever fills it
// stops the process that serves all (T-34).

/** Below this nothing is cut off: the front of a short array is not worth a copy. */
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

  /** Puts what is left of the first in its place. */
  replaceFirst(item: T): void {
    if (this.length > 0) this.#items[this.#head] = item;
  }

  replaceLast(item: T): void {
    if (this.length > 0) this.#items[this.#items.length - 1] = item;
  }

  /** Removes the first; undefined when nothing waits. */
  take(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    // What has left must not be kept in memory by its place.
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) this.clear();
    else if (this.#head >= spentMin && this.#head * 2 >= this.#items.length) {
      // Each item is copied at most once for each that left before it.
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Removes the first `count`, or all that there are. */
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
