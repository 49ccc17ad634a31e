// Owns: how many lines of words a client is told beside its stream, on standard error: the one table of their bounds,
// and the count of one session.
// Must never: let a flood of refusals become a flood of lines, or take the window that a client gives to the stream.

export const toldBounds = {
  /** The lines about refusals that one session is told within `windowMs`. */
  linesMax: 6,
  windowMs: 60_000,
  /** The same sentence again within this time is about the same refusal, such as all WRITEs of one file. */
  sameMs: 2000,
  /** The length of one line, in bytes. */
  lineBytesMax: 512,
  /** The lines of one channel that wait for a window or for new keys; further ones are dropped. */
  waitingMax: 4,
  /** The bytes of all lines of one channel. Many clients never read these, and so never widen the window for them. */
  channelBytesMax: 32 * 1024,
  /** A line is sent only while the client's window has room for this many such lines, so that the stream goes on. */
  windowShare: 4,
} as const;

/** The end of the last line of a period. */
const last = '; further refusals of this minute are not shown';

/** Counts the lines about refusals that one session is told, on all its channels together. */
export class ToldLines {
  #from = Number.NEGATIVE_INFINITY;
  #count = 0;
  #sentence = '';
  #at = Number.NEGATIVE_INFINITY;

  /** Returns the line to tell about a refusal with this sentence at `nowMs`; undefined when none is to be told. */
  line(sentence: string, nowMs = performance.now()): string | undefined {
    if (nowMs - this.#from >= toldBounds.windowMs) {
      this.#from = nowMs;
      this.#count = 0;
    }
    const isSame = sentence === this.#sentence && nowMs - this.#at < toldBounds.sameMs;
    this.#sentence = sentence;
    this.#at = nowMs;
    if (isSame || this.#count >= toldBounds.linesMax) return undefined;
    this.#count += 1;
    return this.#count === toldBounds.linesMax ? `${sentence}${last}` : sentence;
  }
}

/** Returns the bytes of one line for a terminal: no control character reaches it, and it is not too long. */
export function toldBytes(line: string): Buffer {
  const clean = line.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
  const bytes = Buffer.from(clean);
  if (bytes.length <= toldBounds.lineBytesMax - 1) return Buffer.from(`${clean}\n`);
  // A character that is cut in two becomes one that says so.
  return Buffer.from(`${bytes.subarray(0, toldBounds.lineBytesMax - 8).toString('utf8')}…\n`);
}
