// Owns: taking operators' commands from the database, deciding them again, and answering in the transaction of their effect.
// Must never: trust the admin process: operator, role and parameters are checked here once more.
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import { mayCall, operatorToAdmin } from '../../rpc/operator-admin.ts';
import type { Warden } from '../context.ts';
import { record } from '../ledger/ledger-queries.ts';
import type { SessionRegistry } from '../sessions/sessions.ts';
import { type CommandRow, failCommand, finishCommand, takeCommand } from './command-queries.ts';
import { demoUseCases } from './demo.ts';
import { type Doing, useCases } from './use-cases.ts';

/** Notices are quick; this is for those that got lost, or whose taker died. */
const pollMs = 250;
type UseCase = (params: never, doing: Doing) => Promise<unknown>;

/** Listens for commands until stopped; each runs alone, in order of arrival. */
export async function startCommands(warden: Warden, sessions: SessionRegistry): Promise<{ stop(): Promise<void> }> {
  let running: Promise<void> = Promise.resolve();
  let isStopped = false;
  let isWanted = false;
  let isBusy = false;
  const wake = (): void => {
    isWanted = true;
    if (isBusy || isStopped) return;
    isBusy = true;
    running = (async () => {
      while (isWanted && !isStopped) {
        isWanted = false;
        while (!isStopped && (await runOne(warden, sessions)));
      }
    })()
      .catch((error: unknown) => warden.log.warn({ err: error }, 'commands could not be taken; tried again'))
      .finally(() => (isBusy = false));
  };
  const timer = setInterval(wake, pollMs);
  timer.unref();
  const stopListening = await warden.database.listen('cofferdam_command', wake, wake);
  return {
    stop: async () => {
      isStopped = true;
      clearInterval(timer);
      await stopListening();
      await running;
    },
  };
}

async function withSavepoint<T>(tx: Transaction, work: () => Promise<T>): Promise<T> {
  await tx.query('savepoint part');
  try {
    const result = await work();
    await tx.query('release savepoint part');
    return result;
  } catch (error) {
    await tx.query('rollback to savepoint part');
    throw error;
  }
}

/** True when there was one. A command that fails leaves no trace but its answer and its ledger entry. */
async function runOne(warden: Warden, sessions: SessionRegistry): Promise<boolean> {
  const announcements: (() => void)[] = [];
  let taken: CommandRow | undefined;
  try {
    await warden.database.withSystem(async (tx) => {
      taken = await takeCommand(tx);
      if (taken === undefined) return;
      const doing: Doing = {
        tx,
        warden,
        operator: taken.operator,
        savepoint: (work) => withSavepoint(tx, work),
        endSessions: async (filter, reason) => {
          const done = await sessions.endWithin(tx, filter, reason);
          announcements.push(() => done.announce());
          return done.count;
        },
      };
      const result = await execute(taken, doing);
      await recordCommand(tx, taken, 'done');
      await finishCommand(tx, taken.id, result);
    });
    for (const announce of announcements) announce();
  } catch (thrown) {
    if (taken === undefined) throw thrown;
    const failed: CommandRow = taken;
    const error = toCofferdamError(thrown);
    if (error.code === 'unavailable') throw error;
    if (error.code === 'bug') warden.log.error({ err: thrown, operation: failed.operation }, 'defect in a command');
    await warden.database.withSystem(async (tx) => {
      await recordCommand(tx, failed, error.code);
      await failCommand(tx, failed.id, error.code, error.message);
    });
  }
  return taken !== undefined;
}

async function execute(command: CommandRow, doing: Doing): Promise<unknown> {
  if (!command.isActive) throw new CofferdamError('denied', 'this operator is suspended');
  if (doing.warden.config.demo && Object.hasOwn(demoUseCases, command.operation)) {
    const row = demoUseCases[command.operation as keyof typeof demoUseCases];
    return row.run(row.params.parse(command.params), doing);
  }
  const { operation } = command;
  if (!Object.hasOwn(useCases, operation) || !Object.hasOwn(operatorToAdmin, operation))
    throw new CofferdamError('unsupported', 'there is no such command');
  const row = operatorToAdmin[operation as keyof typeof useCases];
  if (!mayCall(command.role, row.role)) throw new CofferdamError('denied', `this needs the role ${row.role}`);
  const params = row.params.safeParse(command.params);
  if (!params.success) throw new CofferdamError('invalid', 'the parameters have the wrong form');
  const run = useCases[operation as keyof typeof useCases] as UseCase;
  return run(params.data as never, doing);
}

async function recordCommand(tx: Transaction, command: CommandRow, outcome: string): Promise<void> {
  await record(tx, {
    kind: 'command.executed',
    observer: 'warden',
    sensitive: { command: command.id, operation: command.operation, operator: command.operator, outcome },
  });
}
