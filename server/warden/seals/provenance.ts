// Owns: the rules of who may make rows of which kind: two operators by a change, or one of the makers listed here.
// Must never: accept a row of access (an account, its rights, a credential, an operator, an operator's key) from
// anybody else.
import { bytesOfBase64 } from '../../domain/ssh-wire.ts';
import type { Proposal } from '../../rpc/change-document.ts';
import type { RowName, SealKind } from './seal-queries.ts';

/**
 * The kinds of rows that each maker makes without a second operator. A row keeps its maker, or its change, until
 * another change touches it.
 */
const mayMake = {
  /** One operator alone: an empty customer, which nobody can reach yet. */
  operator: ['customer', 'folder', 'budget'],
  /**
   * The customer's own console: a window, a key that the account's present key signed for, and a second factor that a
   * ticket allows.
   */
  console: ['credential', 'budget', 'window', 'second-factor'],
  /** A login only counts failed attempts on a ticket and makes no row. */
  login: [],
  /** The bootstrap makes the first two operators. */
  bootstrap: ['operator', 'operator-key'],
  /** The warden's start makes budgets that are missing. */
  start: ['budget'],
  /**
   * A node that tests its controls, with an account of its own, and nothing that depends on a row of anybody else
   * (`groundOfOwn`).
   */
  'self-test': ['customer', 'folder', 'account', 'rights', 'credential', 'budget', 'second-factor'],
  /** The demo world, on loopback only (T-30). */
  demo: ['second-factor'],
} as const satisfies Readonly<Record<string, readonly SealKind[]>>;

export type Maker = keyof typeof mayMake;

/** The kinds of rows without which nobody can log in or act as an operator. */
const access: ReadonlySet<SealKind> = new Set(['account', 'rights', 'credential', 'operator', 'operator-key']);

/** Returns whether this maker may make rows of this kind without a second operator. */
export const mayBeMadeBy = (kind: SealKind, maker: string | null): boolean =>
  maker !== null && Object.hasOwn(mayMake, maker) && (mayMake[maker as Maker] as readonly SealKind[]).includes(kind);

/** Returns whether a row of this kind must name a genuine change or an entitled maker. */
export const isAccess = (kind: SealKind): boolean => access.has(kind);

type Facts = Readonly<Record<string, unknown>>;

const named = (kind: SealKind, id: unknown): readonly RowName[] => (typeof id === 'string' ? [{ kind, id }] : []);

/**
 * For each kind that a self-test makes, returns the rows that say to whom it belongs; undefined when the row itself
 * shows that it is not a self-test's.
 */
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
    // A budget of a plane, or of the whole gateway, belongs to no self-test.
    return of.length === 0 ? undefined : of;
  },
};

/**
 * Returns the rows on which a row of a self-test depends: its own account and customer, and nothing else. Whenever the
 * row is used, these must be verified and be rows of a self-test themselves. Returns undefined when the row cannot be a
 * self-test's (decision 0033).
 */
export function groundOfOwn({ kind, id, facts }: RowName & { readonly facts: string }): readonly RowName[] | undefined {
  const said = JSON.parse(facts) as Facts;
  // The id of a row of rights is the account; its facts name each folder with its customer.
  if (kind === 'rights')
    return [
      ...named('account', id),
      ...Object.values(said).flatMap((of) => named('customer', Array.isArray(of) ? of[0] : undefined)),
    ];
  return grounds[kind]?.(said);
}

/**
 * The facts with which a row of these kinds is at its end: it opens nothing then, at any time, whatever it said before.
 * They are exact values, because a trigger could postpone an end that depends on a clock or a tolerance.
 */
const ends = {
  'second-factor': { sealed_seed: null, sealed_by: null },
  ticket: { ticket_hash: null, expires_at: 0, used_at: null, failed_trials: 0 },
} as const satisfies Partial<Record<SealKind, Readonly<Record<string, null | number>>>>;

export type EndingKind = keyof typeof ends;
/** Returns whether a row is at its end, whatever else was declared about it in the same transaction. */
export const isEnded = ({ kind, facts }: { readonly kind: SealKind; readonly facts: string }): boolean => {
  const said = JSON.parse(facts) as Facts;
  return (
    Object.hasOwn(ends, kind) && Object.entries(ends[kind as EndingKind]).every(([fact, value]) => said[fact] === value)
  );
};
export const factsOfEnd = (kind: EndingKind): Readonly<Record<string, null | number>> => ends[kind];

type Fit = (facts: Facts, params: Facts, id: string) => boolean;

const namesIt: Fit = (facts, params) => facts.name === params.name;
/** Returns whether one line of a public key file is the key in the row, which stores its wire form in hexadecimal. */
const isKeyLine = (facts: Facts, line: unknown): boolean =>
  typeof line === 'string' &&
  Buffer.from(bytesOfBase64(line.trim().split(' ')[1] ?? '')).toString('hex') === facts.public_key;
const isOperatorKey: Fit = (facts, params) =>
  typeof params.publicKey === 'string' && Buffer.from(params.publicKey, 'base64').toString('hex') === facts.public_key;

/**
 * For each operation and kind of row: what the parameters of the change must say to fit the row. An operation that is
 * not listed neither makes nor changes rows of access.
 */
const fitting: Readonly<Record<string, Readonly<Partial<Record<SealKind, Fit>>>>> = {
  'account.create': {
    account: (facts, params) =>
      namesIt(facts, params, '') && facts.kind === params.kind && facts.plane === params.plane,
    rights: () => true,
  },
  'account.set': { account: namesIt, rights: (_facts, params) => Array.isArray(params.rights) },
  // The accounts of the customer get rights on its new folder.
  'folder.create': { rights: () => true },
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

/**
 * Returns whether a row of access is one that this change makes. A row that one operator narrowed later still names its
 * change.
 */
export function fitsChange(
  row: { readonly kind: SealKind; readonly id: string; readonly facts: string },
  change: Proposal,
): boolean {
  if (!isAccess(row.kind)) return true;
  const fit = Object.hasOwn(fitting, change.operation) ? fitting[change.operation]?.[row.kind] : undefined;
  return fit?.(JSON.parse(row.facts) as Facts, change.params, row.id) === true;
}
