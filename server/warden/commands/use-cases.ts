// Owns: what each changing operation of an operator does: one function for each operation, inside the command's own transaction.
// Must never: change anything before all parameters were checked.
import { randomUUID } from 'node:crypto';
import { isDemoAccount } from '../../domain/demo-accounts.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { type AccountId, type CustomerId, type Direction, type FolderId, idOf, type SessionId, type Verb } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operator-admin.ts';
import { lockForWithdrawal } from '../budgets/consequence-queries.ts';
import { createBudgets } from '../budgets/create-budgets.ts';
import { holdOpenings } from '../budgets/session-limit-queries.ts';
import { operatorUseCases } from '../changes/operator-commands.ts';
import type { Warden } from '../context.ts';
import { record } from '../ledger/ledger-queries.ts';
import type { SessionFilter } from '../sessions/session-queries.ts';
import { accountUseCases, requireCustomer } from './account-commands.ts';
import { budgetUseCases } from './budget-commands.ts';
import { foldersOf, insertAccount, insertCustomer, insertFolder, insertRight, isSessionOpen, setCustomerState } from './command-queries.ts';
import { credentialUseCases } from './credential-commands.ts';
import { ledgerUseCases } from './ledger-commands.ts';
import { nodeUseCases } from './node-commands.ts';
import { retentionUseCases } from './retention-commands.ts';

export type Doing = {
  readonly tx: Transaction;
  readonly warden: Warden;
  /** Who acts, as rows and entries state it: `alice`, or `alice, approved by bob`. */
  readonly operator: string;
  readonly operatorId: string;
  /** The id of the change that is being applied; null for a command of one operator and for a plan. */
  readonly change: string | null;
  /** States what becomes wider. Throws `denied` unless a second operator has approved it. */
  readonly widen: (wider: readonly string[]) => void;
  /** Ends sessions within this transaction and returns how many. Edges are told after the commit; for a plan, never. */
  readonly endSessions: (filter: SessionFilter, reason: string, how?: { readonly isPlan: boolean }) => Promise<number>;
  /** Runs `work` inside a savepoint. When `work` throws, its effects are undone, and the rest of the command may go on. */
  readonly savepoint: <T>(work: () => Promise<T>) => Promise<T>;
};

type ChangingOperation = { [K in keyof OperatorToAdmin]: OperatorToAdmin[K]['changes'] extends true ? K : never }[keyof OperatorToAdmin];
type UseCases = {
  readonly [K in keyof OperatorToAdmin as OperatorToAdmin[K] extends { changes: boolean } ? K : never]?: (
    params: Params<OperatorToAdmin, K>,
    doing: Doing,
  ) => Promise<Result<OperatorToAdmin, K>>;
};

export type { ChangingOperation };

/** The verbs that a new account gets, by its plane and the direction of the folder. */
const verbsOf: Readonly<Record<'partner' | 'internal', Readonly<Record<Direction, readonly Verb[]>>>> = {
  partner: { deposit: ['list', 'write'], collect: ['list', 'read'] },
  internal: { deposit: ['list', 'read'], collect: ['list', 'write', 'remove'] },
};

async function giveRights({ tx, warden }: Doing, account: AccountId, plane: 'partner' | 'internal', customer: CustomerId): Promise<void> {
  for (const folder of await foldersOf(tx, customer)) await insertRight(tx, account, customer, folder.id, verbsOf[plane][folder.direction]);
  await createBudgets(tx, { kind: 'account', account, customer, isInternal: plane === 'internal' }, warden.config.budgets);
}

export const useCases = {
  'warden.ping': async (_params, { warden }) => ({ receiptKey: warden.keys.receiptPublicKey.id, hostKeys: [...warden.hostKeyLines] }),

  'customer.create': async ({ name, reason }, { tx, warden, operator }) => {
    const id = idOf<CustomerId>(randomUUID());
    if (!(await insertCustomer(tx, id, name))) throw new CofferdamError('conflict', `there is already a customer named ${name}`);
    await warden.keys.createCustomerKey(tx, id);
    await createBudgets(tx, { kind: 'customer', customer: id }, warden.config.budgets);
    const { settleMs } = warden.config.limits;
    await insertFolder(tx, {
      id: idOf<FolderId>(randomUUID()),
      customer: id,
      name: 'deposit',
      direction: 'deposit',
      settleMs,
      windowDays: null,
      retentionDays: null,
      replaceAllowed: false,
      directoriesAllowed: true,
    });
    await insertFolder(tx, {
      id: idOf<FolderId>(randomUUID()),
      customer: id,
      name: 'collect',
      direction: 'collect',
      settleMs: 0,
      windowDays: warden.config.limits.collectWindowDays,
      retentionDays: warden.config.limits.collectRetentionDays,
      replaceAllowed: true,
      directoriesAllowed: true,
    });
    await record(tx, { kind: 'customer.created', customer: id, observer: 'warden', public: { name }, sensitive: { by: operator, reason } });
    return { name, folders: ['deposit', 'collect'] };
  },

  'customer.suspend': async ({ name, reason }, { tx, endSessions, operator }) => {
    // Which accounts may reach this customer, internal ones included, is read while a session opens. Sessions that open
    // now are found below; those that open later see the suspension.
    await holdOpenings(tx);
    const customer = await requireCustomer(tx, name, 'to-narrow');
    await lockForWithdrawal(tx, { customer });
    if (!(await setCustomerState(tx, customer, 'suspended'))) throw new CofferdamError('conflict', `customer ${name} is already suspended`);
    await record(tx, { kind: 'customer.suspended', customer, observer: 'warden', sensitive: { reason, by: operator } });
    return { sessionsEnded: await endSessions({ customer }, `customer suspended: ${reason}`) };
  },

  'customer.resume': async ({ name, reason }, { tx, operator }) => {
    const customer = await requireCustomer(tx, name, 'to-rely');
    if (!(await setCustomerState(tx, customer, 'active'))) throw new CofferdamError('conflict', `customer ${name} is not suspended`);
    await record(tx, { kind: 'customer.resumed', customer, observer: 'warden', sensitive: { reason, by: operator } });
    return {};
  },

  'account.create': async (params, doing) => {
    const { tx } = doing;
    if (params.plane === 'partner' && params.manages === true && params.kind !== 'person')
      throw new CofferdamError('invalid', 'only a person manages other accounts');
    const id = idOf<AccountId>(randomUUID());
    const customers: CustomerId[] = [];
    for (const name of params.plane === 'partner' ? [params.customer] : params.customers)
      customers.push(await requireCustomer(tx, name, 'to-rely'));
    const made = await insertAccount(tx, {
      id,
      name: params.name,
      customer: params.plane === 'partner' ? (customers[0] ?? null) : null,
      kind: params.kind,
      plane: params.plane,
      contact: params.contact ?? null,
      isDemo: doing.warden.config.demo && isDemoAccount(params.name),
      manages: params.plane === 'partner' && params.manages === true,
    });
    if (!made) throw new CofferdamError('conflict', `there is already an account named ${params.name}`);
    for (const customer of new Set(customers)) await giveRights(doing, id, params.plane, customer);
    const { plane, kind, name } = params;
    for (const customer of new Set(customers))
      await record(tx, {
        kind: 'account.created',
        customer,
        account: id,
        observer: 'warden',
        public: { name, kind, plane },
        sensitive: { rights: verbsOf[plane], by: doing.operator },
      });
    return { name };
  },

  ...operatorUseCases,
  ...accountUseCases,
  ...credentialUseCases,
  ...budgetUseCases,
  ...retentionUseCases,
  ...nodeUseCases,
  ...ledgerUseCases,

  'session.end': async ({ session, reason }, { tx, endSessions }) => {
    if (!(await isSessionOpen(tx, session))) throw new CofferdamError('not-found', 'there is no open session with this id');
    return { ended: (await endSessions({ session: idOf<SessionId>(session) }, `ended by an operator: ${reason}`)) === 1 };
  },
} as const satisfies UseCases;
