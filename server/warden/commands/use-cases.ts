// Owns: what each changing operation of an operator does, one function a verb, inside the command's own transaction.
// Must never: change anything before all of its parameters are known to be good.
import { randomUUID } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import {
  type AccountId,
  type CredentialId,
  type CustomerId,
  type Direction,
  type FolderId,
  idOf,
  type SessionId,
  type Verb,
} from '../../domain/ids.ts';
import { parsePublicKeyLine, rsaBitsMin } from '../../domain/ssh-keys.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operator-admin.ts';
import { fingerprintOf } from '../authentication/ssh-signature.ts';
import { lockForWithdrawal } from '../budgets/consequence-queries.ts';
import { createBudgets } from '../budgets/create-budgets.ts';
import type { Warden } from '../context.ts';
import type { SessionFilter } from '../sessions/session-queries.ts';
import { budgetUseCases } from './budget-commands.ts';
import {
  type AccountRow,
  closeWindows,
  findAccountByName,
  findCustomer,
  foldersOf,
  insertAccount,
  insertCredential,
  insertCustomer,
  insertFolder,
  insertRight,
  insertTicket,
  insertWindow,
  isSessionOpen,
  setCustomerState,
} from './command-queries.ts';
import { retentionUseCases } from './retention-commands.ts';

export type Doing = {
  readonly tx: Transaction;
  readonly warden: Warden;
  readonly operator: string;
  /** Ends sessions within this transaction; edges hear of it after the commit. */
  readonly endSessions: (filter: SessionFilter, reason: string) => Promise<number>;
};

type ChangingOperation = { [K in keyof OperatorToAdmin]: OperatorToAdmin[K]['changes'] extends true ? K : never }[keyof OperatorToAdmin];
type UseCases = {
  readonly [K in keyof OperatorToAdmin as OperatorToAdmin[K] extends { changes: boolean } ? K : never]?: (
    params: Params<OperatorToAdmin, K>,
    doing: Doing,
  ) => Promise<Result<OperatorToAdmin, K>>;
};

export type { ChangingOperation };

const unknown = (what: string, name: string): CofferdamError => new CofferdamError('not-found', `there is no ${what} named ${name}`);

async function requireAccount(tx: Transaction, name: string): Promise<AccountRow> {
  const account = await findAccountByName(tx, name);
  if (account === undefined) throw unknown('account', name);
  return account;
}

async function requireCustomer(tx: Transaction, name: string): Promise<CustomerId> {
  const customer = await findCustomer(tx, name);
  if (customer === undefined) throw unknown('customer', name);
  return customer.id;
}

/** What a new account may do, by plane and direction of the folder. */
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

  'customer.create': async ({ name }, { tx, warden }) => {
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
    return { name, folders: ['deposit', 'collect'] };
  },

  'customer.suspend': async ({ name, reason }, { tx, endSessions }) => {
    const customer = await requireCustomer(tx, name);
    await lockForWithdrawal(tx, { customer });
    if (!(await setCustomerState(tx, customer, 'suspended'))) throw new CofferdamError('conflict', `customer ${name} is already suspended`);
    return { sessionsEnded: await endSessions({ customer }, `customer suspended: ${reason}`) };
  },

  'customer.resume': async ({ name }, { tx }) => {
    const customer = await requireCustomer(tx, name);
    if (!(await setCustomerState(tx, customer, 'active'))) throw new CofferdamError('conflict', `customer ${name} is not suspended`);
    return {};
  },

  'account.create': async (params, doing) => {
    const { tx } = doing;
    const id = idOf<AccountId>(randomUUID());
    const customers: CustomerId[] = [];
    for (const name of params.plane === 'partner' ? [params.customer] : params.customers) customers.push(await requireCustomer(tx, name));
    const made = await insertAccount(tx, {
      id,
      name: params.name,
      customer: params.plane === 'partner' ? (customers[0] ?? null) : null,
      kind: params.kind,
      plane: params.plane,
      contact: params.contact ?? null,
      isDemo: doing.warden.config.demo,
    });
    if (!made) throw new CofferdamError('conflict', `there is already an account named ${params.name}`);
    for (const customer of new Set(customers)) await giveRights(doing, id, params.plane, customer);
    return { name: params.name };
  },

  'key.add': async ({ account: name, publicKey, expiresInDays }, { tx, operator, warden }) => {
    const hasLegacy = warden.config.edges.some((edge) => edge.profile === 'legacy');
    const { blob, key } = parsePublicKeyLine(publicKey, hasLegacy ? rsaBitsMin.legacy : rsaBitsMin.standard);
    const account = await requireAccount(tx, name);
    const fingerprint = fingerprintOf(blob);
    const id = idOf<CredentialId>(randomUUID());
    const expiresAt = await insertCredential(tx, {
      id,
      account: account.id,
      algorithm: key.type,
      blob: Buffer.from(blob),
      fingerprint,
      issuedBy: operator,
      days: expiresInDays ?? 365,
    });
    if (expiresAt === undefined)
      throw new CofferdamError('conflict', `the key ${fingerprint} is already registered; a key belongs to one account only`);
    await createBudgets(tx, { kind: 'credential', credential: id, customer: account.customer }, warden.config.budgets);
    return { fingerprint, expiresAt: expiresAt.toISOString() };
  },

  'mfa.ticket': async ({ account: name, ticketHash, hours }, { tx, operator }) => {
    const account = await requireAccount(tx, name);
    if (account.hasFactor)
      throw new CofferdamError('conflict', `account ${name} has a second factor; it must be reset before a new one is enrolled`);
    const expiresAt = await insertTicket(tx, randomUUID(), account.id, Buffer.from(ticketHash, 'hex'), operator, hours ?? 24);
    return { expiresAt: expiresAt.toISOString() };
  },

  'window.open': async ({ account: name, hours, reason }, { tx, operator }) => {
    const account = await requireAccount(tx, name);
    if (account.kind !== 'machine')
      throw new CofferdamError('conflict', 'activation windows are for machine accounts; persons use their second factor');
    return { closesAt: (await insertWindow(tx, randomUUID(), account.id, hours, operator, reason)).toISOString() };
  },

  ...budgetUseCases,
  ...retentionUseCases,

  'window.close': async ({ account: name }, { tx }) => ({ closed: await closeWindows(tx, (await requireAccount(tx, name)).id) }),

  'session.end': async ({ session, reason }, { tx, endSessions }) => {
    if (!(await isSessionOpen(tx, session))) throw new CofferdamError('not-found', 'there is no open session with this id');
    return { ended: (await endSessions({ session: idOf<SessionId>(session) }, `ended by an operator: ${reason}`)) === 1 };
  },
} as const satisfies UseCases;
