// Owns: the wrapper that keeps a secret out of logs, JSON and inspection.
const inspect = Symbol.for('nodejs.util.inspect.custom');

/**
 * Holds a secret value. Every way of printing the wrapper gives `[redacted]`; `reveal` is the only way to the value,
 * and is easy to search for.
 */
export class Secret<T> {
  readonly #value: T;
  constructor(value: T) {
    this.#value = value;
  }
  reveal(): T {
    return this.#value;
  }
  toString(): string {
    return '[redacted]';
  }
  toJSON(): string {
    return '[redacted]';
  }
  [inspect](): string {
    return '[redacted]';
  }
}
