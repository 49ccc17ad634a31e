// Owns: how often each regular pass of this process had a turn, how long its turns took, and how long the slowest of
// the last minute or two took.
import type { Reading } from '../../observability/metrics.ts';

const minuteMs = 60_000;

type Kept = {
  count: number;
  sumMs: number;
  /** The minute of the newest turn, counted from the start of this process, and the slowest turn that ended in it. */
  minute: number;
  slowestMs: number;
  /** The slowest turn of the minute before it. */
  beforeMs: number;
};

export class Turns {
  readonly #kept = new Map<string, Kept>();
  readonly #clock: () => number;

  /** `clock` returns milliseconds that only grow. */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
  }

  /** Has one turn of the pass with this name, which is a text of our own. A turn that fails counts like any other. */
  async timed<T>(name: string, turn: () => Promise<T>): Promise<T> {
    const began = this.#clock();
    try {
      return await turn();
    } finally {
      const kept = this.#of(name);
      const ms = this.#clock() - began;
      kept.count += 1;
      kept.sumMs += ms;
      kept.slowestMs = Math.max(kept.slowestMs, ms);
    }
  }

  #of(name: string): Kept {
    const minute = Math.floor(this.#clock() / minuteMs);
    const known = this.#kept.get(name);
    const kept = known ?? { count: 0, sumMs: 0, minute, slowestMs: 0, beforeMs: 0 };
    if (known === undefined) this.#kept.set(name, kept);
    if (kept.minute !== minute) {
      kept.beforeMs = kept.minute === minute - 1 ? kept.slowestMs : 0;
      kept.slowestMs = 0;
      kept.minute = minute;
    }
    return kept;
  }

  get metrics(): readonly Reading[] {
    return [...this.#kept.keys()].flatMap((pass) => {
      const { count, sumMs, slowestMs, beforeMs } = this.#of(pass);
      const labels = { pass };
      return [
        { name: 'warden_pass_turns_total', help: 'Turns of a regular pass.', kind: 'counter', value: count, labels },
        { name: 'warden_pass_seconds_total', help: 'What they took.', kind: 'counter', value: sumMs / 1000, labels },
        {
          name: 'warden_pass_slowest_seconds',
          help: 'The slowest turn that ended in this minute or in the one before it.',
          kind: 'gauge',
          value: Math.max(slowestMs, beforeMs) / 1000,
          labels,
        },
      ];
    });
  }
}
