// Owns: sending a command to the warden through the database, and waiting for its answer.
// Must never: say that something was done before the warden said so, or that nothing was done while it still may be.
import { randomUUID } from 'node:crypto';
import { commandLife } from '../../domain/command-life.ts';
import { CofferdamError, type ErrorCode, errorCodes, toCofferdamError } from '../../domain/errors.ts';
import type { Claim } from '../../domain/share.ts';
import type { Database } from '../../postgres/database.ts';
import { claimant } from '../../rpc/slots.ts';
import { type CommandAnswer, findAnswer, insertCommand } from './operator-queries.ts';
import { type AdminSlots, claimOfKey } from './shares.ts';

const pollMs = 1000;
const seconds = (ms: number): string => `${ms / 1000} s`;
/** The text for a command whose answer was looked for and does not exist. */
const nothing = `no warden answered within ${seconds(commandLife.answerMs)}. Nothing was done, and nothing will be: what was asked is good for ${seconds(commandLife.endMs)}`;
/** The text for a command whose answer could not be read. */
const unknown = `the answer of the warden could not be read: the command may have been done, or may still be done until ${seconds(commandLife.endMs)} after it was asked, and not later. Check before you repeat it (\`cofferctl report changes --since 1h\`)`;

/** The client of the warden's command queue. */
export class CommandQueue {
  readonly #database: Database;
  readonly #slots: Pick<AdminSlots, 'commands' | 'plans'>;
  readonly #waiting = new Map<string, () => void>();
  #stop: (() => Promise<void>) | undefined;

  constructor(database: Database, slots: Pick<AdminSlots, 'commands' | 'plans'>) {
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

  /**
   * Sends a command and returns the warden's result. Throws the warden's refusal; `over-limit` when too many commands
   * wait already, in which case nothing was asked; or `unavailable`, whose text says whether nothing was done or that
   * this is unknown. `patienceMs` may be shorter for an operation that changes nothing.
   */
  async send(
    operatorId: string,
    operation: string,
    params: unknown,
    patienceMs: number = commandLife.answerMs,
  ): Promise<unknown> {
    const claim = claimant() ?? claimOfKey(operatorId);
    const ask = (): Promise<unknown> => this.#ask(claim, operatorId, operation, params, patienceMs);
    return operation === 'plan' ? this.#slots.plans.within(claim, ask) : ask();
  }

  async #ask(
    claim: Claim,
    operatorId: string,
    operation: string,
    params: unknown,
    patienceMs: number,
  ): Promise<unknown> {
    const release = this.#slots.commands.take(claim);
    const id = randomUUID();
    const deadline = performance.now() + patienceMs;
    let wake = (): void => {};
    this.#waiting.set(id, () => wake());
    try {
      await this.#insert(id, operatorId, operation, params);
      for (;;) {
        const isOver = performance.now() > deadline;
        const answer = await this.#look(id);
        if (answer === 'unread' && isOver) throw new CofferdamError('unavailable', unknown);
        if (answer === undefined && isOver) throw new CofferdamError('unavailable', nothing);
        if (typeof answer === 'object') return resultOf(answer);
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

  /**
   * Inserts the command. When the connection is lost during the statement, it is unknown whether the command waits; the
   * answer, or its absence, tells.
   */
  async #insert(id: string, operatorId: string, operation: string, params: unknown): Promise<void> {
    let isUnderWay = false;
    try {
      await this.#database.withSystem((tx) => {
        isUnderWay = true;
        return insertCommand(tx, id, operatorId, operation, params);
      });
    } catch (error) {
      if (!isUnderWay || toCofferdamError(error).code !== 'unavailable') throw error;
    }
  }

  async #look(id: string): Promise<CommandAnswer | 'unread' | undefined> {
    try {
      return await this.#database.withSystem((tx) => findAnswer(tx, id));
    } catch (error) {
      if (toCofferdamError(error).code === 'unavailable') return 'unread';
      throw error;
    }
  }
}

function resultOf({ state, result, errorCode, errorText }: CommandAnswer): unknown {
  if (state === 'done') return result;
  throw new CofferdamError(codeOf(errorCode), errorText ?? 'the command failed');
}

function codeOf(code: string | null): ErrorCode {
  return code !== null && Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'bug';
}
