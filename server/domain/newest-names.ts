// Owns: a set of names that does not grow without bound: beyond its number the oldest are forgotten.

export class NewestNames {
  readonly #names = new Set<string>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  add(name: string): void {
    const [oldest] = this.#names.size >= this.#max ? this.#names : [];
    if (oldest !== undefined) this.#names.delete(oldest);
    this.#names.add(name);
  }

  /** Takes the name out. True: it was there. */
  take(name: string): boolean {
    return this.#names.delete(name);
  }
}
