// Owns: taking operators' commands from the database, one after the other, and answering each in the transaction of its
// effect.
// Must never: execute a command for whose answer nobody waits any more.
import { commandLife, mayBegin } from '../../domain/command-life.ts';
import { held } from '../../domain/detached.ts';
import { toCofferdamError } from '../../domain/errors.ts';
import type { SessionEnd } from '../../domain/session-ends.ts';
import type { SessionFilter } from '../../domain/session-filter.ts';
import type { Transaction } from '../../postgres/database.ts';
import { isPassing } from '../../postgres/database-errors.ts';
import type { Warden } from '../context/context.ts';
import { record } from '../ledger/entries/record.ts';
import { every } from '../passes/every.ts';
import { Turns } from '../passes/turns.ts';
import { declarationMark } from '../seals/declared.ts';
import { generationsOf } from '../seals/generations.ts';
import { sealing } from '../seals/seals.ts';
import { answerExpired } from './answered.ts';
import {
  areWaiting,
  type CommandRow,
  failCommand,
  finishCommand,
  type QueueName,
  takeCommand,
} from './command-queries.ts';
import type { Doing } from './doing.ts';
import { Answer, decide, needsAnother, type Operations } from './execute.ts';

/** What the queue needs of the other folders. */
type Given = Operations & {
  /** Ends sessions in a command's transaction. `announce` tells the edges and is called after the commit. */
  readonly sessions: {
    endWithin(
      tx: Transaction,
      filter: SessionFilter,
      reason: string,
      end?: SessionEnd,
    ): Promise<{ readonly count: number; announce(): void }>;
  };
  readonly turns?: Turns;
};

/**
 * The time between two looks for commands. Notifications are quicker; the looks are for notifications that were lost
 * and for commands whose warden died.
 */
const pollMs = 250;

/** The number of operators whose order of being served is remembered. */
const servedMax = 200;

/**
 * The largest number of remembered reasons. The database admits fewer waiting commands than this, in both queues
 * together.
 */
const troublesMax = 200;
/** The reason, by command, why a waiting command could not be done when it was tried. */
const troubles = new Map<string, string>();

/**
 * Listens for commands until stopped. Commands that change something run one after the other, and plans run one after
 * the other beside them. In each queue the waiting operators take turns, and the commands of one operator run in the
 * order in which they were asked for.
 */
export async function startCommands(warden: Warden, given: Given): Promise<{ stop(): Promise<void> }> {
  const lines = [startLine('others', warden, given), startLine('plans', warden, given)];
  const wake = (): void => {
    for (const line of lines) line.wake();
  };
  const looks = every(
    pollMs,
    async () => {
      if (await areWaiting(warden.database)) wake();
    },
    warden.log,
  );
  const stopListening = await warden.database.listen('cofferdam_command', wake, wake);
  return {
    stop: async () => {
      await looks.stop();
      await stopListening();
      await Promise.all(lines.map((line) => line.stop()));
    },
  };
}

type Running = { wake(): void; stop(): Promise<void> };

function startLine(line: QueueName, warden: Warden, given: Given): Running {
  let running: Promise<void> = Promise.resolve();
  let isStopped = false;
  let isWanted = false;
  let isBusy = false;
  let served: readonly string[] = [];
  const { turns = new Turns() } = given;
  const next = async (): Promise<boolean> => {
    const expired = await answerExpired(
      warden.database,
      tooLate(undefined),
      new Map([...troubles].map(([id, why]) => [id, tooLate(why)])),
    );
    for (const id of expired) troubles.delete(id);
    const done = await runOne(warden, given, line, served);
    if (done === undefined) return false;
    served = [...served.filter((one) => one !== done.operator), done.operator].slice(-servedMax);
    // The operator has had a turn. A command that cannot be done now does not delay those of other operators.
    if (done.trouble !== undefined) throw done.trouble;
    return true;
  };
  const wake = (): void => {
    isWanted = true;
    if (isBusy || isStopped) return;
    isBusy = true;
    running = held(
      (async () => {
        while (isWanted && !isStopped) {
          isWanted = false;
          // This process reads what the command sealed again before it takes the next one. Other wardens read it when
          // they are notified of the answer.
          while (!isStopped && (await turns.timed(`takes commands (${line})`, next)))
            await warden.database.withSystem((tx) => generationsOf(warden.keys).refresh(tx));
        }
      })()
        .catch((error: unknown) => warden.log.warn({ err: error }, 'commands could not be taken; tried again'))
        .finally(() => (isBusy = false)),
    );
  };
  return {
    wake,
    stop: async () => {
      isStopped = true;
      await running;
    },
  };
}

async function withSavepoint<T>(tx: Transaction, work: () => Promise<T>): Promise<T> {
  await tx.query('savepoint part');
  const undeclare = declarationMark(tx);
  try {
    const result = await work();
    await tx.query('release savepoint part');
    return result;
  } catch (error) {
    await tx.query('rollback to savepoint part');
    // `rollback to` keeps the savepoint. It would hide an outer savepoint of the same name, so it is released.
    await tx.query('release savepoint part');
    undeclare();
    throw error;
  }
}

/** Whose command was tried, and the error that prevented it. */
type Done = { readonly operator: string; readonly trouble?: unknown };

/**
 * Takes and executes one command. Returns undefined when none waits. A command that fails leaves only its answer and
 * its ledger entry.
 */
async function runOne(
  warden: Warden,
  given: Given,
  line: QueueName,
  served: readonly string[],
): Promise<Done | undefined> {
  const announcements: (() => void)[] = [];
  let taken: CommandRow | undefined;
  try {
    await warden.database.withSystem(async (tx) => {
      taken = await takeCommand(tx, line, served);
      if (taken === undefined) return;
      if (!mayBegin(taken.ageMs)) throw new TooLate(taken.id);
      const doing: Doing = {
        tx,
        warden,
        operator: taken.operator,
        operatorId: taken.operatorId,
        change: null,
        widen: needsAnother,
        savepoint: (work) => withSavepoint(tx, work),
        endSessions: async (filter, reason, how) => {
          const done = await given.sessions.endWithin(tx, filter, reason, how?.end);
          if (how?.isPlan !== true) announcements.push(() => done.announce());
          return done.count;
        },
      };
      const command = taken;
      let change: string | null = null;
      const behalf = {
        maker: Object.hasOwn(given.demo, command.operation) ? 'demo' : 'operator',
        change: () => change,
      } as const;
      const result = await sealing(tx, warden, behalf, () => decide(command, doing, given, (id) => (change = id)));
      await recordCommand(tx, taken, 'done');
      await finishCommand(tx, taken.id, result);
    });
    for (const announce of announcements) announce();
  } catch (thrown) {
    if (taken === undefined) throw thrown;
    const failed: CommandRow = taken;
    const error = toCofferdamError(thrown);
    // The command is tried again as long as it may begin.
    if (isPassing(error) && !(thrown instanceof Answer)) {
      if (troubles.size < troublesMax) troubles.set(failed.id, error.message);
      return { operator: failed.operatorId, trouble: error };
    }
    if (error.code === 'bug') warden.log.error({ err: thrown, operation: failed.operation }, 'defect in a command');
    await warden.database.withSystem(async (tx) => {
      await recordCommand(tx, failed, error.code);
      await failCommand(tx, failed.id, error.code, error.message);
    });
  }
  if (taken === undefined) return undefined;
  troubles.delete(taken.id);
  return { operator: taken.operatorId };
}

const tooLate = (trouble: string | undefined): string =>
  `it could not be done within ${commandLife.beginMs / 1000} s (${trouble ?? 'others were before it, or the warden was away'}). Nothing was done, and it is not done later: ask again`;

class TooLate extends Answer {
  constructor(id: string) {
    super('unavailable', tooLate(troubles.get(id)));
  }
}

async function recordCommand(tx: Transaction, command: CommandRow, outcome: string): Promise<void> {
  await record(tx, {
    kind: 'command.executed',
    observer: 'warden',
    sensitive: { command: command.id, operation: command.operation, operator: command.operator, outcome },
  });
}
