// Owns: a set of names with a largest size. When it is full, the oldest name is forgotten.

export class NewestNames {
  readonly #names = new Set<string>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  add(name: string): void {
    const [oldest = name] = this.#names;
    if (this.#names.size >= this.#max) this.#names.delete(oldest);
    this.#names.add(name);
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Removes the name. Returns whether it was in the set. */
  take(name: string): boolean {
    return this.#names.delete(name);
  }
}
