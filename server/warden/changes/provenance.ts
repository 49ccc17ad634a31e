// Owns: who may make rows of which kind: two operators by a change, or one of the few makers in this list.
// Must never: take a row of access (an account, its rights, a credential, an operator, an operator's key) from anybody else.
import { bytesOfBase64 } from '../../domain/ssh-wire.ts';
import type { Proposal } from '../../rpc/change-document.ts';
import type { RowName, SealKind } from './seal-queries.ts';

/** The rows that each makes without a second operator. A row keeps its maker, or its change, until another change touches it. */
const mayMake = {
  /** One operator: an empty customer, who nobody can reach yet. */
  operator: ['customer', 'folder', 'budget'],
  /** The customer's own console: a window, a key that the account's present key signed for, and a second factor by a ticket. */
  console: ['credential', 'budget', 'window', 'second-factor'],
  /** A login counts what was tried against a ticket. */
  login: [],
  /** The first two operators. */
  bootstrap: ['operator', 'operator-key'],
  /** The warden as it starts: budgets that are missing. */
  start: ['budget'],
  /** A node that tests its controls, with an account of its own, and nothing that stands on another one (`groundOfOwn`). */
  'self-test': ['customer', 'folder', 'account', 'rights', 'credential', 'budget', 'second-factor'],
  /** The demo world, on loopback only (T-30). */
  demo: ['second-factor'],
} as const satisfies Readonly<Record<string, readonly SealKind[]>>;

export type Maker = keyof typeof mayMake;

/** Without one of them nobody gets in, or is let in. */
const access: ReadonlySet<SealKind> = new Set(['account', 'rights', 'credential', 'operator', 'operator-key']);

export const mayBeMadeBy = (kind: SealKind, maker: string | null): boolean =>
  maker !== null && Object.hasOwn(mayMake, maker) && (mayMake[maker as Maker] as readonly SealKind[]).includes(kind);

/** Whether a row of this kind needs somebody who answers for it. */
export const isAccess = (kind: SealKind): boolean => access.has(kind);

type Facts = Readonly<Record<string, unknown>>;

const named = (kind: SealKind, id: unknown): readonly RowName[] => (typeof id === 'string' ? [{ kind, id }] : []);

/** For each kind that a self-test makes: the rows that say whose it is; undefined: the row itself says that it is of no self-test. */
const grounds: Readonly<Partial<Record<SealKind, (facts: Facts) => readonly RowName[] | undefined>>> = {
  customer: (facts) => (facts.is_self_test === true ? [] : undefined),
  account: (facts) => (facts.is_self_test === true ? named('customer', facts.customer_id) : undefined),
  folder: (facts) => named('customer', facts.customer_id),
  credential: (facts) => named('account', facts.account_id),
  'second-factor': (facts) => named('account', facts.account_id),
  budget: (facts) => {
    const of = [
      ...named('credential', facts.credential_id),
      ...named('account', facts.account_id),
      ...named('customer', facts.customer_id),
    ];
    // What counts for a plane, or for the gateway, is nobody's own.
    return of.length === 0 ? undefined : of;
  },
};

/**
 * What a self-test makes stands on its own account and customer, and on nothing else: these rows must be verified, and be a self-test's themselves, whenever
 * the row is used. Undefined: the row is no self-test's at all.
 */
export function groundOfOwn({ kind, id, facts }: RowName & { readonly facts: string }): readonly RowName[] | undefined {
  const said = JSON.parse(facts) as Facts;
  // Of rights the name is the account, and each folder is said with its customer.
  if (kind === 'rights')
    return [...named('account', id), ...Object.values(said).flatMap((of) => named('customer', Array.isArray(of) ? of[0] : undefined))];
  return grounds[kind]?.(said);
}

/**
 * Of these kinds a row may be brought to an end whatever it said before: with these facts it opens nothing, at any time. They are exact: an end that a clock
 * decides, or a slack, could be put off by a trigger.
 */
const ends = {
  'second-factor': { sealed_seed: null, sealed_by: null },
  ticket: { ticket_hash: null, expires_at: 0, used_at: null, failed_trials: 0 },
} as const satisfies Partial<Record<SealKind, Readonly<Record<string, null | number>>>>;

export type EndingKind = keyof typeof ends;
/** Whether a row says that it is over, whatever else was declared of it in the same transaction. */
export const isEnded = ({ kind, facts }: { readonly kind: SealKind; readonly facts: string }): boolean => {
  const said = JSON.parse(facts) as Facts;
  return Object.hasOwn(ends, kind) && Object.entries(ends[kind as EndingKind]).every(([fact, value]) => said[fact] === value);
};
export const factsOfEnd = (kind: EndingKind): Readonly<Record<string, null | number>> => ends[kind];

type Fit = (facts: Facts, params: Facts, id: string) => boolean;

const namesIt: Fit = (facts, params) => facts.name === params.name;
/** One line of a public key file; its wire form stands in the row. */
const isKeyLine = (facts: Facts, line: unknown): boolean =>
  typeof line === 'string' && Buffer.from(bytesOfBase64(line.trim().split(' ')[1] ?? '')).toString('hex') === facts.public_key;
const isOperatorKey: Fit = (facts, params) =>
  typeof params.publicKey === 'string' && Buffer.from(params.publicKey, 'base64').toString('hex') === facts.public_key;

/** What the parameters of a change must say for a row that names it. An operation that is not here makes and changes no such row. */
const fitting: Readonly<Record<string, Readonly<Partial<Record<SealKind, Fit>>>>> = {
  'account.create': {
    account: (facts, params) => namesIt(facts, params, '') && facts.kind === params.kind && facts.plane === params.plane,
    rights: () => true,
  },
  'account.set': { account: namesIt },
  'account.expire': { account: namesIt },
  'key.add': { credential: (facts, params) => isKeyLine(facts, params.publicKey) },
  'key.confirm': { credential: (facts, params) => facts.fingerprint === params.fingerprint },
  'rotation.advance': {
    credential: (facts, params) =>
      Array.isArray(params.keys) && params.keys.some((one: { publicKey?: unknown }) => isKeyLine(facts, one.publicKey)),
  },
  'password.issue': { credential: (facts, params) => facts.fingerprint === params.name && facts.public_key === null },
  'operator.create': {
    operator: (facts, params) => namesIt(facts, params, '') && facts.role === params.role,
    'operator-key': isOperatorKey,
  },
  'operator.set-role': { operator: (facts, params) => namesIt(facts, params, '') && facts.role === params.role },
  'operator.resume': { operator: namesIt },
  'operator.add-key': { 'operator-key': isOperatorKey },
};

/** Whether a row of access is one that this change makes. Narrowed since by one operator, it still names it. */
export function fitsChange(row: { readonly kind: SealKind; readonly id: string; readonly facts: string }, change: Proposal): boolean {
  if (!isAccess(row.kind)) return true;
  const fit = Object.hasOwn(fitting, change.operation) ? fitting[change.operation]?.[row.kind] : undefined;
  return fit?.(JSON.parse(row.facts) as Facts, change.params, row.id) === true;
}
