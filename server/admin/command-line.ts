// Owns: sending a command to the warden through the database, and waiting for its answer.
// Must never: say that something was done before the warden said so.
import { randomUUID } from 'node:crypto';
import { CofferdamError, type ErrorCode, errorCodes } from '../domain/errors.ts';
import type { Database } from '../postgres/database.ts';
import { claimant, type Slots } from '../rpc/slots.ts';
import { findAnswer, insertCommand } from './operator-queries.ts';
import { claimOfKey } from './shares.ts';

const pollMs = 1000;
const waitMs = 20_000;

export class CommandLine {
  readonly #database: Database;
  readonly #slots: Slots;
  readonly #waiting = new Map<string, () => void>();
  #stop: (() => Promise<void>) | undefined;

  constructor(database: Database, slots: Slots) {
    this.#database = database;
    this.#slots = slots;
  }

  async start(): Promise<void> {
    const wakeAll = (): void => {
      for (const wake of this.#waiting.values()) wake();
    };
    this.#stop = await this.#database.listen('cofferdam_answer', (id) => this.#waiting.get(id)?.(), wakeAll);
  }

  async stop(): Promise<void> {
    await this.#stop?.();
  }

  /** The warden's result. Throws its refusal, `over-limit` when this person's commands wait already (nothing was asked then), or `unavailable` when it did not answer in time: then the command may still be executed. */
  async send(operatorId: string, operation: string, params: unknown): Promise<unknown> {
    const release = this.#slots.take(claimant() ?? claimOfKey(operatorId));
    const id = randomUUID();
    const deadline = Date.now() + waitMs;
    let wake = (): void => {};
    this.#waiting.set(id, () => wake());
    try {
      await this.#database.withSystem((tx) => insertCommand(tx, id, operatorId, operation, params));
      for (;;) {
        const answer = await this.#database.withSystem((tx) => findAnswer(tx, id));
        if (answer?.state === 'done') return answer.result;
        if (answer !== undefined) throw new CofferdamError(codeOf(answer.errorCode), answer.errorText ?? 'the command failed');
        if (Date.now() > deadline)
          throw new CofferdamError(
            'unavailable',
            'the warden did not answer; the command waits and may still be executed: look before you repeat it',
          );
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, pollMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    } finally {
      this.#waiting.delete(id);
      release();
    }
  }
}

function codeOf(code: string | null): ErrorCode {
  return code !== null && Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'bug';
}
