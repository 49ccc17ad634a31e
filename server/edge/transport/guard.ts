// Owns: replacing ssh2's table of message handlers, so that every message of our connections comes to us, by number and
// state.
// Must never: let a message reach ssh2's own handlers outside the key
// exchange, or let a parser continue after its first error (T-15).
import { type CoreProtocol, coreHandlers } from './ssh2-core.ts';

type MessageSink = {
  /**
   * Called for every message after the first key exchange. `pass` hands
   * the message to ssh2's own handler; it is used for key exchanges only.
   */
  message(number: number, payload: Buffer, pass: (payload: Buffer) => void): void;
};

const sinks = new WeakMap<CoreProtocol, MessageSink>();
const originals = [...coreHandlers];

for (let number = 0; number < 256; number += 1) {
  const original = originals[number];
  coreHandlers[number] = (protocol, payload) => {
    const sink = sinks.get(protocol);
    if (sink === undefined) throw new Error('a connection without a guard');
    return sink.message(number, payload, (passed) => void original?.(protocol, passed));
  };
}

export function guard(protocol: CoreProtocol, sink: MessageSink): void {
  sinks.set(protocol, sink);
}

const identBytesMax = 255;

/**
 * Collects the identification line from any number of chunks, and
 * then returns everything as one buffer (RFC 4253 section 4.2).
 */
export class Identification {
  #held: Buffer | undefined = Buffer.alloc(0);

  /**
   * Returns the bytes to parse now, or undefined while the line is not complete. Throws when the line is too long. The
   * chunk itself comes back once the line is behind us; nothing of it is kept.
   */
  take(chunk: Buffer): Buffer | undefined {
    if (this.#held === undefined) return chunk;
    const all = Buffer.concat([this.#held, chunk]);
    const end = all.indexOf(10);
    if (end > identBytesMax || (end === -1 && all.length > identBytesMax)) throw new Error('identification too long');
    if (end === -1) {
      this.#held = all;
      return undefined;
    }
    this.#held = undefined;
    return all;
  }
}

/** Allows at most `max` events within the last `windowMs` milliseconds. An event that is refused counts as well. */
export class RateGate {
  readonly #max: number;
  readonly #windowMs: number;
  #times: number[] = [];
  constructor(max: number, windowMs: number) {
    this.#max = max;
    this.#windowMs = windowMs;
  }
  pass(): boolean {
    const now = performance.now();
    this.#times = this.#times.filter((time) => now - time < this.#windowMs);
    this.#times.push(now);
    return this.#times.length <= this.#max;
  }
}
