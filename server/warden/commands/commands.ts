// Owns: taking operators' commands from the database, checking them again, executing them, and answering in the
// transaction of their effect.
// Must never: trust the admin process: operator, role and parameters are checked here once more. Nor execute a command
// for whose answer nobody waits any more.

import { commandLife, mayBegin } from '../../domain/command-life.ts';
import { held } from '../../domain/detached.ts';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import { isPassing } from '../../postgres/database-errors.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import { mayCall, type OperatorToAdmin, operatorToAdmin } from '../../rpc/operator-admin.ts';
import { wellFormed } from '../../rpc/wrong-form.ts';
import { alarmBroken } from '../changes/altered-rows.ts';
import { namesOf } from '../changes/change-queries.ts';
import { type Apply, approveChange, proposeChange, rejectChange } from '../changes/changes.ts';
import { declarationMark, relyOnFound } from '../changes/declared.ts';
import { generationsOf } from '../changes/generations.ts';
import { examineDeclared, factsOfRow, sealing, verifiedRows } from '../changes/seals.ts';
import type { Warden } from '../context.ts';
import { every } from '../every.ts';
import { record, watch } from '../ledger/ledger-queries.ts';
import type { SessionRegistry } from '../sessions/sessions.ts';
import { answerExpired, answeredEveryMs, forgetAnswered } from './answered.ts';
import { type CommandRow, type CommandsLine, failCommand, finishCommand, takeCommand } from './command-queries.ts';
import { demoUseCases, makerOf } from './demo.ts';
import { type Doing, useCases } from './use-cases.ts';

/**
 * The time between two looks for commands. Notifications are quicker; the looks are for notifications that were lost
 * and for commands whose warden died.
 */
const pollMs = 250;
type UseCase = (params: never, doing: Doing) => Promise<unknown>;

/** The number of operators whose order of being served is remembered. */
const servedMax = 200;

/** The largest number of remembered reasons. The database admits fewer waiting commands than this, in both queues together. */
const troublesMax = 200;
/** The reason, by command, why a waiting command could not be done when it was tried. */
const troubles = new Map<string, string>();

/**
 * Listens for commands until stopped. Commands that change something run one after the other, and plans run one after
 * the other beside them. In each queue the waiting operators take turns, and the commands of one operator run in the
 * order in which they were asked for.
 */
export async function startCommands(warden: Warden, sessions: SessionRegistry): Promise<{ stop(): Promise<void> }> {
  const lines = [startLine('others', warden, sessions), startLine('plans', warden, sessions)];
  const wake = (): void => {
    for (const line of lines) line.wake();
  };
  const timer = setInterval(wake, pollMs);
  timer.unref();
  const forgetting = every(answeredEveryMs, () => forgetAnswered(warden.database), warden.log);
  const stopListening = await warden.database.listen('cofferdam_command', wake, wake);
  return {
    stop: async () => {
      clearInterval(timer);
      await forgetting.stop();
      await stopListening();
      await Promise.all(lines.map((line) => line.stop()));
    },
  };
}

type Running = { wake(): void; stop(): Promise<void> };

function startLine(line: CommandsLine, warden: Warden, sessions: SessionRegistry): Running {
  let running: Promise<void> = Promise.resolve();
  let isStopped = false;
  let isWanted = false;
  let isBusy = false;
  let served: readonly string[] = [];
  const next = async (): Promise<boolean> => {
    const expired = await answerExpired(warden.database, tooLate(undefined), new Map([...troubles].map(([id, why]) => [id, tooLate(why)])));
    for (const id of expired) troubles.delete(id);
    const done = await runOne(warden, sessions, line, served);
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
          while (!isStopped && (await next())) await warden.database.withSystem((tx) => generationsOf(warden.keys).refresh(tx));
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

/** Takes and executes one command. Returns undefined when none waits. A command that fails leaves only its answer and its ledger entry. */
async function runOne(warden: Warden, sessions: SessionRegistry, line: CommandsLine, served: readonly string[]): Promise<Done | undefined> {
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
          const done = await sessions.endWithin(tx, filter, reason);
          if (how?.isPlan !== true) announcements.push(() => done.announce());
          return done.count;
        },
      };
      const command = taken;
      let change: string | null = null;
      const behalf = { maker: makerOf(command.operation, warden.config), change: () => change };
      const result = await sealing(tx, warden, behalf, () => decide(command, doing, (id) => (change = id)));
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

/** An error that is the answer to a command and not a fault of the database: the command is over, and those after it take their turn. */
class Answer extends CofferdamError {}

const tooLate = (trouble: string | undefined): string =>
  `it could not be done within ${commandLife.beginMs / 1000} s (${trouble ?? 'others were before it, or the warden was away'}). Nothing was done, and it is not done later: ask again`;

class TooLate extends Answer {
  constructor(id: string) {
    super('unavailable', tooLate(troubles.get(id)));
  }
}

/**
 * While the record is frozen, throws for every command except those about changes, `warden.ping`, and the release of
 * the freeze and its plan.
 */
function requireUnfrozen({ guard }: Warden, { operation, params }: CommandRow): void {
  if (guard.state.is === 'open' || guard.state.why !== 'frozen') return;
  const isAbout = (what: unknown): boolean => what === 'ledger.release';
  const planned = typeof params === 'object' && params !== null && 'operation' in params ? params.operation : undefined;
  if (operation.startsWith('change.') || operation === 'warden.ping' || isAbout(operation) || (operation === 'plan' && isAbout(planned)))
    return;
  throw new Answer('unavailable', `frozen: ${guard.state.text}. Nothing was done; see \`cofferctl ledger status\``);
}

/** Throws `denied` when one operator alone would widen something. */
const needsAnother = (wider: readonly string[]): void => {
  if (wider.length > 0)
    throw new CofferdamError(
      'denied',
      `this would widen ${wider.join(', ')}: it needs a second operator, as a change that is proposed and approved`,
    );
};

/**
 * When two operators approved that something becomes wider, requires that the rows behind it are what the warden wrote,
 * because those are what the operators were shown.
 */
const relyWhenWider = (tx: Transaction, wider: readonly string[]): void => {
  if (wider.length > 0) relyOnFound(tx);
};

/** Verifies the operator as the row stands now, then executes the command, or the change that it is about. */
async function decide(command: CommandRow, doing: Doing, applies: (change: string) => void): Promise<unknown> {
  requireUnfrozen(doing.warden, command);
  if (!command.isActive) throw new CofferdamError('denied', 'this operator is suspended');
  const row = { kind: 'operator', id: command.operatorId } as const;
  const { broken, rows } = await verifiedRows(doing.tx, doing.warden.keys, [row]);
  if (broken !== undefined) {
    await doing.warden.database.onceUndone((tx) => alarmBroken(tx, broken, 'a command of this operator was refused'));
    throw new CofferdamError('denied', 'the entry of this operator is not what the warden wrote');
  }
  // The command was read by an earlier statement. The verified row decides who the operator is and which role it has.
  const verified = factsOfRow<{ name: string; role: string; state: string }>(rows, row);
  if (verified?.name !== command.operator || verified.role !== command.role || verified.state !== 'active')
    throw new CofferdamError('denied', 'the entry of this operator was changed at the same moment: nothing was done');
  const apply: Apply = (operation, params, by, approval) => {
    applies(approval.change);
    const within = {
      ...doing,
      operator: by.operator,
      change: approval.change,
      widen: (wider: readonly string[]) => relyWhenWider(doing.tx, wider),
    };
    requireUnfrozen(doing.warden, { ...command, operation, params });
    return execute({ operation, params, role: by.role }, within, 'approved');
  };
  const checked = <K extends keyof OperatorToAdmin>(operation: K): Params<OperatorToAdmin, K> => {
    const { role, params } = operatorToAdmin[operation];
    if (!mayCall(command.role, role)) throw new CofferdamError('denied', `this needs the role ${role}`);
    return wellFormed(params, command.params) as Params<OperatorToAdmin, K>;
  };
  switch (command.operation) {
    case 'plan':
      return plan(command, doing, checked('plan'));
    case 'change.propose':
      return proposeChange(checked('change.propose'), doing, apply);
    case 'change.approve':
      return approveChange(checked('change.approve'), doing, apply);
    case 'change.reject':
      return rejectChange(checked('change.reject'), doing);
    default:
      return execute(command, doing, 'alone');
  }
}

type Standing = 'alone' | 'approved' | 'plan';

async function execute(command: Pick<CommandRow, 'operation' | 'params' | 'role'>, doing: Doing, standing: Standing): Promise<unknown> {
  if (doing.warden.config.demo && standing === 'alone' && Object.hasOwn(demoUseCases, command.operation)) {
    const row = demoUseCases[command.operation as keyof typeof demoUseCases];
    return row.run(row.params.parse(command.params), doing);
  }
  const { operation } = command;
  if (!Object.hasOwn(useCases, operation) || !Object.hasOwn(operatorToAdmin, operation))
    throw new CofferdamError('unsupported', 'there is no such command');
  const row = operatorToAdmin[operation as keyof typeof useCases];
  if (!mayCall(command.role, row.role))
    throw new CofferdamError('denied', `${operation} needs the role ${row.role}; you are ${command.role}`);
  if (row.second === 'always' && standing === 'alone')
    throw new CofferdamError('denied', `${operation} needs a second operator: it is proposed and approved as a change`);
  const params: unknown = wellFormed(row.params, command.params);
  const run = useCases[operation as keyof typeof useCases] as UseCase;
  return run(params as never, doing);
}

const effectsMax = 200;
/** Thrown to undo what a plan did, so that it is never committed. */
class Undone extends Error {}

/**
 * Executes the operation inside a savepoint and undoes it. Errors are found as in the real execution, and the effects
 * are read from the entries that it wrote.
 */
async function plan(command: CommandRow, doing: Doing, wanted: Params<OperatorToAdmin, 'plan'>): Promise<Result<OperatorToAdmin, 'plan'>> {
  const { tx } = doing;
  const wider: string[] = [];
  let sessionsEnded = 0;
  const entries = watch(tx);
  try {
    await doing.savepoint(async () => {
      await execute(
        { ...wanted, role: command.role },
        {
          ...doing,
          widen: (what) => {
            relyWhenWider(tx, what);
            wider.push(...what);
          },
          endSessions: async (filter, reason) => {
            const ended = await doing.endSessions(filter, reason, { isPlan: true });
            sessionsEnded += ended;
            return ended;
          },
        },
        'plan',
      );
      await examineDeclared(tx, doing.warden.keys);
      throw new Undone();
    });
  } catch (error) {
    if (!(error instanceof Undone)) throw error;
  }
  const seen = entries.slice(0, effectsMax);
  const ids = (pick: (entry: (typeof seen)[number]) => string | null | undefined): string[] => seen.flatMap((entry) => pick(entry) ?? []);
  const names = await namesOf(
    tx,
    ids((entry) => entry.customer),
    ids((entry) => entry.account),
  );
  const row = operatorToAdmin[wanted.operation as keyof typeof useCases];
  return {
    needsSecond: row.second === 'always' || wider.length > 0,
    wider: [...new Set(wider)],
    sessionsEnded,
    more: entries.length > seen.length,
    effects: seen.map((entry) => ({
      kind: entry.kind,
      customer: names.get(entry.customer ?? '') ?? null,
      account: names.get(entry.account ?? '') ?? null,
      text: JSON.stringify({ ...entry.public, ...entry.sensitive }),
    })),
  };
}

async function recordCommand(tx: Transaction, command: CommandRow, outcome: string): Promise<void> {
  await record(tx, {
    kind: 'command.executed',
    observer: 'warden',
    sensitive: { command: command.id, operation: command.operation, operator: command.operator, outcome },
  });
}
