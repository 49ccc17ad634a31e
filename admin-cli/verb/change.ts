// Owns: the builder of a verb that changes something: its --reason, its plan, --execute, --break-glass, and what is
// said when the change is made, or proposed because it needs a second operator.
// Must never: change anything without --execute, or call a change done that was only proposed.
import type { Params, Result } from '../../server/rpc/operation.ts';
import { type OperatorOperation, type OperatorToAdmin, operatorToAdmin } from '../../server/rpc/operators/table.ts';
import { checkCall } from '../../server/rpc/wrong-form.ts';
import type { Client } from '../connection/client.ts';
import { nextLine, shown } from '../terminal/next-line.ts';
import { type Output, plain, when } from '../terminal/output.ts';
import type { Given, Option, Verb, Words } from './verb.ts';

export type ChangingOperation = {
  [K in keyof OperatorToAdmin]: OperatorToAdmin[K]['changes'] extends true ? K : never;
}[keyof OperatorToAdmin];
type Plan = Result<OperatorToAdmin, 'plan'>;
export type Proposed = { readonly change: string; readonly hash: string; readonly expiresAt: string };
type Performed<R> = {
  /** What the plan said about rows that somebody altered in the database and that do not prevent the change. */
  readonly altered: readonly string[];
} & ({ readonly result: R; readonly proposed: null } | { readonly result: null; readonly proposed: Proposed });

/** Returns the option without which a verb changes nothing. `help` says what is done with it, and what without it. */
export const executeOption = (help: string): Option => ({ name: 'execute', value: null, help });

/** Returns the options that a changing verb has in addition to its own: what they do depends on its operations. */
function executeOptions(operations: readonly OperatorOperation[]): readonly Option[] {
  const mayNeedSecond = operations.some((one) => operatorToAdmin[one].second !== 'never');
  return [
    executeOption(
      `do it${mayNeedSecond ? ', or propose it to a second operator' : ''}; without --execute only the plan is shown`,
    ),
    {
      name: 'break-glass',
      value: 'ID',
      help: mayNeedSecond
        ? 'do it alone, in an emergency that two operators had prepared'
        : 'has no effect here: one operator may do this alone',
    },
  ];
}
/** The option that says why. `help` is for a verb whose reason must say something in particular. */
export const reasonOption = (help = 'why; goes on the record'): Option => ({
  name: 'reason',
  value: 'TEXT',
  help,
  required: true,
});

/** Returns the command that was typed, with --execute. */
export function withExecute(given: Given): string {
  const options = Object.entries(given.options).flatMap(([name, value]) =>
    value === undefined ? [] : [value === '' ? `--${name}` : `--${name} ${shown(value)}`],
  );
  return nextLine(given, [...given.words, ...given.positionals.map(shown), ...options, '--execute'].join(' '));
}

const unique = (names: readonly (string | null)[]): readonly string[] =>
  [...new Set(names.filter((name) => name !== null))].sort();

function few(names: readonly string[]): string {
  return names.length <= 12 ? names.join(', ') : `${names.slice(0, 12).join(', ')} and ${names.length - 12} more`;
}

function planText(plan: Plan, given: Given): string {
  const accounts = unique(plan.effects.map((one) => one.account));
  const customers = unique(plan.effects.map((one) => one.customer));
  const kinds = unique(plan.effects.map((one) => one.kind));
  return [
    ...kinds.map((kind) => {
      const same = plan.effects.filter((one) => one.kind === kind);
      return `${kind.padEnd(24)} ${same.length === 1 ? plain(same[0]?.text ?? '').slice(0, 300) : `${same.length} times`}`;
    }),
    '',
    customers.length === 0 ? '' : `customers: ${few(customers)}`,
    accounts.length === 0 ? '' : `accounts:  ${few(accounts)}`,
    plan.sessionsEnded === 0 ? '' : `${plan.sessionsEnded} open sessions would end`,
    plan.wider.length === 0 ? '' : `this would widen ${few(plan.wider)}`,
    plan.needsSecond ? 'it needs a second operator: --execute proposes it' : '',
    `Nothing was done. To do it: ${plain(withExecute(given))}`,
    '',
  ]
    .filter((line, i, all) => line !== '' || i === kinds.length || i === all.length - 1)
    .join('\n');
}

export function proposedText({ change, hash, expiresAt }: Proposed): string {
  return [
    `proposed as change ${change}; nothing has changed yet`,
    `a second operator looks at it and approves it until ${when(expiresAt)}:`,
    `  cofferctl change show ${change}`,
    `  cofferctl change approve ${change} --hash ${hash} --execute`,
    '',
  ].join('\n');
}

/**
 * Makes the change, or proposes it when the warden says that it needs a second operator. Invalid input is refused
 * before anything is proposed.
 */
export async function perform<K extends ChangingOperation>(
  client: Client,
  given: Given,
  operation: K,
  params: Params<OperatorToAdmin, K>,
): Promise<Performed<Result<OperatorToAdmin, K>>> {
  type R = Result<OperatorToAdmin, K>;
  const breakGlass = given.options['break-glass'];
  const wish = { operation, params: params as Record<string, unknown> };
  checkCall(operatorToAdmin, operation, params);
  const plan = await client.call('plan', wish);
  const altered = plan.effects.filter((one) => one.kind === 'row.broken-seal').map((one) => one.text);
  if (!plan.needsSecond) return { result: await client.call(operation, params), proposed: null, altered };
  const said = wish.params.reason;
  const reason = typeof said === 'string' ? said : '';
  const signed = await client.propose({ ...wish, reason, breakGlass });
  return signed.applied === null
    ? { result: null, proposed: signed, altered }
    : { result: signed.applied as R, proposed: null, altered };
}

/**
 * Shows the plan of one operation; with --execute performs it. The result is what the verb prints. `told` says what was
 * done, and is not asked while the change is only planned or proposed.
 */
export async function changing<K extends ChangingOperation>(
  client: Client,
  given: Given,
  operation: K,
  params: Params<OperatorToAdmin, K>,
  told: (result: Result<OperatorToAdmin, K>) => string,
): Promise<Output> {
  if (given.options.execute === undefined) {
    checkCall(operatorToAdmin, operation, params);
    const plan = await client.call('plan', { operation, params: params as Record<string, unknown> });
    return { data: { executed: false, ...plan }, text: planText(plan, given) };
  }
  const { result, proposed, altered } = await perform(client, given, operation, params);
  if (proposed !== null)
    return { data: { executed: false, proposed: true, ...proposed }, text: proposedText(proposed) };
  const rows = altered
    .map((one) => `altered in the database (row.broken-seal): ${plain(one).slice(0, 300)}\n`)
    .join('');
  return { data: { ...result, executed: true }, text: `${told(result)}${rows}` };
}

/** Returns whether the parameters of an operation have a field `reason`, so that its verb has the option. */
const takesReason = (operation: ChangingOperation): boolean => {
  const { params } = operatorToAdmin[operation];
  return 'shape' in params && 'reason' in params.shape;
};

type Without<T> = T extends unknown ? Omit<T, 'reason'> : never;
type Changing<K extends ChangingOperation> = Words & {
  readonly operation: K;
  /** The help of --reason when the reason must say something in particular. */
  readonly reason?: string;
  /**
   * The parameters of the operation without its reason, which the builder adds. Throws a RangeError for a wrong option.
   */
  readonly params: (given: Given) => Without<Params<OperatorToAdmin, K>>;
  /** What is said when the change was made. */
  readonly told: (result: Result<OperatorToAdmin, K>, params: Params<OperatorToAdmin, K>, given: Given) => string;
};

/** Makes a verb out of one changing operation. It has --reason when the operation takes one. */
export function change<K extends ChangingOperation>({ operation, reason, params, told, ...words }: Changing<K>): Verb {
  const options = [...(words.options ?? []), ...(takesReason(operation) ? [reasonOption(reason)] : [])];
  return changingVerb({ ...words, options }, [operation], async (client, given) => {
    const said = takesReason(operation) ? { reason: given.options.reason ?? '' } : {};
    const all = { ...params(given), ...said } as Params<OperatorToAdmin, K>;
    return changing(client, given, operation, all, (result) => told(result, all, given));
  });
}

/**
 * Makes a changing verb that does more than one call, or another plan than the usual one. `run` heeds --execute itself.
 */
export function changingVerb(words: Words, operations: readonly OperatorOperation[], run: Verb['run']): Verb {
  return {
    positionals: [],
    ...words,
    options: [...(words.options ?? []), ...executeOptions(operations)],
    operations,
    changes: true,
    run,
  };
}
