// Owns: who may make rows of which kind: two operators by a change, or one of the few makers in this list.
// Must never: take a row of access (an account, its rights, a credential, an operator, an operator's key) from anybody else.
import { bytesOfBase64 } from '../../domain/ssh-wire.ts';
import type { Proposal } from '../../rpc/change-document.ts';
import type { SealKind } from './seal-queries.ts';

/** The rows that each makes without a second operator. A row keeps its maker, or its change, until another change touches it. */
const mayMake = {
  /** One operator: an empty customer, who nobody can reach yet. */
  operator: ['customer', 'folder', 'budget'],
  /** The customer's own console: a window, and a key that the account's present key signed for. */
  console: ['credential', 'budget', 'window'],
  /** The first two operators. */
  bootstrap: ['operator', 'operator-key'],
  /** The warden as it starts: budgets that are missing. */
  start: ['budget'],
  /** A node that tests its controls, with an account of its own. */
  'self-test': ['customer', 'folder', 'account', 'rights', 'credential', 'budget'],
} as const satisfies Readonly<Record<string, readonly SealKind[]>>;

export type Maker = keyof typeof mayMake;

/** Without one of them nobody gets in, or is let in. */
const access: ReadonlySet<SealKind> = new Set(['account', 'rights', 'credential', 'operator', 'operator-key']);

export const mayBeMadeBy = (kind: SealKind, maker: string | null): boolean =>
  maker !== null && Object.hasOwn(mayMake, maker) && (mayMake[maker as Maker] as readonly SealKind[]).includes(kind);

/** Whether a row of this kind needs somebody who answers for it. */
export const isAccess = (kind: SealKind): boolean => access.has(kind);

type Facts = Readonly<Record<string, unknown>>;
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
