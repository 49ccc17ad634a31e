// Owns: how a process of the gateway keeps what it has started: on one stack, which stops everything in the opposite
// order of its start. A start that fails stops what it had started so far, because `await using` ends the stack when
// its block ends. A start that is complete takes everything away from that block with `move()`, and stops it later with
// `disposeAsync()`.
// Must never: skip what is left because one thing could not be stopped. The stack goes on, and throws at its end.

/** Makes `one` stop with the stack. Returns it. */
export function stopsWith<T extends { stop(): void | Promise<void> }>(stack: AsyncDisposableStack, one: T): T {
  return stack.adopt(one, () => one.stop());
}
