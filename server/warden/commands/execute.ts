// Owns: checking a command again, as the rows stand now, and executing it: by one operator, as a change that two have
// signed, or as a plan.
// Must never: trust the admin process: operator, role and parameters are checked here once more.
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params } from '../../rpc/operation.ts';
import { mayCall, type OperatorToAdmin, operatorToAdmin } from '../../rpc/operators/table.ts';
import { requireForm } from '../../rpc/wrong-form.ts';
import { alarmBroken } from '../seals/altered-rows.ts';
import { relyOnFound } from '../seals/declared.ts';
import { factsOfRow, verifiedRows } from '../seals/seals.ts';
import type { CommandRow } from './command-queries.ts';
import type { Apply, ChangeUseCases, Doing, UseCases } from './doing.ts';
import { plan } from './plan.ts';

/** What operators can have done. The use cases of all folders are brought together outside of this one. */
export type Operations = {
  readonly useCases: UseCases;
  readonly changes: ChangeUseCases;
  /** Operations of the demo world, by name; none in any other. */
  readonly demo: Readonly<Record<string, (params: unknown, doing: Doing) => Promise<unknown>>>;
  /** Whether the state of the record allows anything to be done. */
  readonly guard: {
    readonly state: { readonly is: 'open' } | { readonly is: 'closed'; readonly why: string; readonly text: string };
  };
};

type UseCase = (params: never, doing: Doing) => Promise<unknown>;

/**
 * An error that is the answer to a command and not a fault of the database: the command is over, and those after it
 * take their turn.
 */
export class Answer extends CofferdamError {}

/**
 * While the record is frozen, throws for every command except those about changes, `warden.ping`, and the release of
 * the freeze and its plan.
 */
function requireUnfrozen({ guard }: Operations, { operation, params }: Pick<CommandRow, 'operation' | 'params'>): void {
  if (guard.state.is === 'open' || guard.state.why !== 'frozen') return;
  const isAbout = (what: unknown): boolean => what === 'ledger.release';
  const planned = typeof params === 'object' && params !== null && 'operation' in params ? params.operation : undefined;
  if (
    operation.startsWith('change.') ||
    operation === 'warden.ping' ||
    isAbout(operation) ||
    (operation === 'plan' && isAbout(planned))
  )
    return;
  throw new Answer('unavailable', `frozen: ${guard.state.text}. Nothing was done; see \`cofferctl ledger status\``);
}

/** Throws `denied` when one operator alone would widen something. */
export const needsAnother = (wider: readonly string[]): void => {
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
export async function decide(
  command: CommandRow,
  doing: Doing,
  operations: Operations,
  onApply: (change: string) => void,
): Promise<unknown> {
  requireUnfrozen(operations, command);
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
    onApply(approval.change);
    const within = {
      ...doing,
      operator: by.operator,
      change: approval.change,
      widen: (wider: readonly string[]) => relyWhenWider(doing.tx, wider),
    };
    requireUnfrozen(operations, { operation, params });
    return execute({ operation, params, role: by.role }, within, operations, 'approved');
  };
  const checked = <K extends keyof OperatorToAdmin>(operation: K): Params<OperatorToAdmin, K> => {
    const { role, params } = operatorToAdmin[operation];
    if (!mayCall(command.role, role)) throw new CofferdamError('denied', `this needs the role ${role}`);
    return requireForm(params, command.params) as Params<OperatorToAdmin, K>;
  };
  const { changes } = operations;
  switch (command.operation) {
    case 'plan': {
      const wanted = checked('plan');
      return plan(wanted, doing, (within) => execute({ ...wanted, role: command.role }, within, operations, 'plan'));
    }
    case 'change.propose':
      return changes['change.propose'](checked('change.propose'), doing, apply);
    case 'change.approve':
      return changes['change.approve'](checked('change.approve'), doing, apply);
    case 'change.reject':
      return changes['change.reject'](checked('change.reject'), doing);
    default:
      return execute(command, doing, operations, 'alone');
  }
}

/** By whose authority an operation runs: one operator's, that of two who signed, or nobody's, because it is undone. */
type Authority = 'alone' | 'approved' | 'plan';

async function execute(
  command: Pick<CommandRow, 'operation' | 'params' | 'role'>,
  doing: Doing,
  { demo, useCases }: Operations,
  authority: Authority,
): Promise<unknown> {
  const ofDemo = Object.hasOwn(demo, command.operation) ? demo[command.operation] : undefined;
  if (authority === 'alone' && ofDemo !== undefined) return ofDemo(command.params, doing);
  const { operation } = command;
  if (!Object.hasOwn(useCases, operation) || !Object.hasOwn(operatorToAdmin, operation))
    throw new CofferdamError('unsupported', 'there is no such command');
  const row = operatorToAdmin[operation as keyof UseCases];
  if (!mayCall(command.role, row.role))
    throw new CofferdamError('denied', `${operation} needs the role ${row.role}; you are ${command.role}`);
  if (row.second === 'always' && authority === 'alone')
    throw new CofferdamError('denied', `${operation} needs a second operator: it is proposed and approved as a change`);
  const params: unknown = requireForm(row.params, command.params);
  const run = useCases[operation as keyof UseCases] as UseCase;
  return run(params as never, doing);
}
