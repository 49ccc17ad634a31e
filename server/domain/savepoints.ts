// Owns: a list of what one transaction did, which goes back with the transaction to its savepoints.
// Must never: keep what the database has undone.

export class SavepointList<Item> {
  readonly #items: Item[] = [];
  /** As the database keeps them: the innermost of a name counts, and whoever leaves one leaves those within it. */
  readonly #marks: { readonly name: string; readonly at: number }[] = [];

  get items(): readonly Item[] {
    return this.#items;
  }

  add(item: Item): void {
    this.#items.push(item);
  }

  /** The transaction has ended. */
  clear(): void {
    this.#items.length = 0;
  }

  /** Hears each statement of the transaction after it was run. */
  heard(statement: string): void {
    const match = /^(rollback to |release )?savepoint ([a-z_]+)$/.exec(statement);
    if (match === null) return;
    const [, verb, name = ''] = match;
    if (verb === undefined) {
      this.#marks.push({ name, at: this.#items.length });
      return;
    }
    const innermost = this.#marks.findLastIndex((one) => one.name === name);
    const mark = this.#marks[innermost];
    // The database knows no such savepoint either, and the transaction is lost.
    if (mark === undefined) return;
    if (verb === 'rollback to ') this.#items.length = Math.min(this.#items.length, mark.at);
    this.#marks.length = verb === 'rollback to ' ? innermost + 1 : innermost;
  }
}
