// Owns: what a session may do, as one text under a MAC. It is made from verified rows when the session is opened, and
// it is the only thing that is consulted later.
// Must never: take any part of it from a row that was not verified in the transaction of the login.
import { timingSafeEqual } from 'node:crypto';
import type { SessionPurpose } from '../../domain/authentication-policy.ts';
import {
  type AccountId,
  type AccountKind,
  type CredentialId,
  type CustomerId,
  type Direction,
  type FolderId,
  idOf,
  type NodeName,
  type Plane,
  type PublishRule,
  type SessionId,
  type Verb,
} from '../../domain/ids.ts';
import type { VirtualPath } from '../../domain/paths.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { factsOfRow, type VerifiedRows } from '../seals/seals.ts';
import type { CustomerScope, FolderScope, OpenSession } from './open-session.ts';
import type { SessionRow } from './session-queries.ts';

type SealedFolder = Omit<FolderScope, 'verbs'> & { readonly verbs: readonly Verb[] };
type SealedCustomer = { readonly id: CustomerId; readonly name: string; readonly folders: readonly SealedFolder[] };

export type SessionScope = {
  readonly session: SessionId;
  /** The SHA-256 of the token, in hexadecimal. */
  readonly tokenHash: string;
  readonly account: {
    readonly id: AccountId;
    readonly name: string;
    readonly kind: AccountKind;
    readonly plane: Plane;
    readonly customer: CustomerId | null;
    readonly readOnly: boolean;
    readonly manages: boolean;
  };
  readonly credential: CredentialId;
  readonly alsoCredential: CredentialId | null;
  readonly node: NodeName;
  readonly startId: string;
  readonly purpose: SessionPurpose;
  readonly window: string | null;
  /** The ticket by which the session may enrol a second factor. */
  readonly ticket: string | null;
  readonly source: string;
  /** Milliseconds since 1970 by the clock of the database. The row may say an earlier end, never a later one. */
  readonly endsAt: number;
  readonly idleMs: number;
  readonly customers: readonly SealedCustomer[];
  /** Where relative paths begin. */
  readonly start: VirtualPath;
};

type AccountRow = {
  readonly customer_id: string | null;
  readonly name: string;
  readonly kind: AccountKind;
  readonly plane: Plane;
  readonly read_only: boolean;
  readonly manages: boolean;
  readonly starts_in: string | null;
};
type FolderRow = {
  readonly customer_id: string;
  readonly name: string;
  readonly direction: Direction;
  readonly publish_rule: PublishRule;
  readonly settle_ms: number;
  readonly read_back: boolean;
  readonly replace_allowed: boolean;
  readonly directories_allowed: boolean;
};

export function accountOf(
  rows: VerifiedRows,
  account: AccountId,
  isReadOnly: boolean,
): SessionScope['account'] | undefined {
  const facts = factsOfRow<AccountRow>(rows, { kind: 'account', id: account });
  return (
    facts && {
      id: account,
      name: facts.name,
      kind: facts.kind,
      plane: facts.plane,
      customer: facts.customer_id === null ? null : idOf<CustomerId>(facts.customer_id),
      readOnly: facts.read_only || isReadOnly,
      manages: facts.manages,
    }
  );
}

const byText = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/**
 * Returns the account's rights on folders of active customers. Customers and, in each of them, folders are in the order
 * of their names. `active` has the customers that are not suspended.
 */
export function customersOf(
  rows: VerifiedRows,
  account: SessionScope['account'],
  active: ReadonlySet<string>,
): readonly SealedCustomer[] {
  const rights =
    factsOfRow<Readonly<Record<string, readonly [string, readonly Verb[]]>>>(rows, {
      kind: 'rights',
      id: account.id,
    }) ?? {};
  const customers = new Map<
    string,
    { readonly id: CustomerId; readonly name: string; readonly folders: SealedFolder[] }
  >();
  for (const [folder, [customer, verbs]] of Object.entries(rights)) {
    const named = factsOfRow<{ readonly name: string }>(rows, { kind: 'customer', id: customer });
    const facts = factsOfRow<FolderRow>(rows, { kind: 'folder', id: folder });
    // Everything was taken away.
    if (verbs.length === 0) continue;
    // A customer or a folder that was not verified is left out.
    if (named === undefined || facts === undefined || facts.customer_id !== customer || !active.has(customer)) continue;
    if (account.customer !== null && account.customer !== customer) continue;
    const one = customers.get(customer) ?? { id: idOf<CustomerId>(customer), name: named.name, folders: [] };
    customers.set(customer, one);
    one.folders.push({
      id: idOf<FolderId>(folder),
      name: facts.name,
      direction: facts.direction,
      publishRule: facts.publish_rule,
      settleMs: facts.settle_ms,
      readBack: facts.read_back,
      replaceAllowed: facts.replace_allowed,
      directoriesAllowed: facts.directories_allowed,
      verbs,
    });
  }
  for (const { folders } of customers.values()) folders.sort((a, b) => byText(a.name, b.name));
  return [...customers.values()].sort((a, b) => byText(a.name, b.name));
}

/**
 * Returns where relative paths of a session of this account begin: in the folder that operators named, or at the root.
 * An account of which nothing was named begins in its folder when it reaches exactly one, and may write there
 * (decision 67).
 */
function startOf(
  rows: VerifiedRows,
  account: SessionScope['account'],
  customers: readonly SealedCustomer[],
): VirtualPath {
  const startsIn = factsOfRow<AccountRow>(rows, { kind: 'account', id: account.id })?.starts_in ?? null;
  const reached = customers.flatMap(({ name, folders }) => folders.map((folder) => ({ customer: name, folder })));
  const usual = reached.length === 1 && reached[0]?.folder.verbs.includes('write') ? reached[0] : undefined;
  const chosen = startsIn === null ? usual : reached.find(({ folder }) => folder.id === startsIn);
  if (chosen === undefined) return [];
  return account.plane === 'internal' ? [chosen.customer, chosen.folder.name] : [chosen.folder.name];
}

/** Returns what a session of this account reaches, and where it starts. `active` has the customers that may log in. */
export function reachOf(
  rows: VerifiedRows,
  account: SessionScope['account'],
  active: ReadonlySet<string>,
): Pick<SessionScope, 'customers' | 'start'> {
  const customers = customersOf(rows, account, active);
  return { customers, start: startOf(rows, account, customers) };
}

const macOf = (keys: KeyRing, text: string): Buffer => keys.sealRow(['session', text]);

export function sealScope(keys: KeyRing, scope: SessionScope): { readonly text: string; readonly mac: Buffer } {
  const text = JSON.stringify(scope);
  return { text, mac: macOf(keys, text) };
}

/** Returns the scope of this text; undefined when the MAC does not verify, so that the warden did not write it. */
function openScope(keys: KeyRing, text: string | null, mac: Buffer | null): SessionScope | undefined {
  if (text === null || mac === null) return undefined;
  const expected = macOf(keys, text);
  if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) return undefined;
  return JSON.parse(text) as SessionScope;
}

/** The columns of a session that repeat what its scope says. */
export type ScopedRow = Pick<
  SessionRow,
  'id' | 'account' | 'credential' | 'alsoCredential' | 'node' | 'purpose' | 'window' | 'scope' | 'scopeMac'
>;

/** Returns the customers of a scope in the form that use cases receive: frozen, and only those that are active now. */
export function frozenCustomers({ customers }: SessionScope, active: ReadonlySet<string>): readonly CustomerScope[] {
  const folderOf = (folder: SealedFolder): FolderScope => Object.freeze({ ...folder, verbs: new Set(folder.verbs) });
  return Object.freeze(
    customers
      .filter((one) => active.has(one.id))
      .map((one) => Object.freeze({ ...one, folders: Object.freeze(one.folders.map(folderOf)) })),
  );
}

/**
 * Returns the scope if it was sealed for this row and this token; undefined when somebody else wrote the row or the
 * scope.
 */
export function verifiedScope(keys: KeyRing, row: ScopedRow, tokenHash: Buffer): SessionScope | undefined {
  const scope = openScope(keys, row.scope, row.scopeMac);
  const isWhole =
    scope !== undefined &&
    scope.session === row.id &&
    scope.tokenHash === tokenHash.toString('hex') &&
    scope.account.id === row.account &&
    scope.credential === row.credential &&
    scope.alsoCredential === row.alsoCredential &&
    scope.node === row.node &&
    scope.purpose === row.purpose &&
    scope.window === row.window;
  return isWhole ? scope : undefined;
}

/** Returns the value by which a session is known to all code that serves it. */
export function openSessionOf(
  { session, node, account, credential, purpose, ticket, start }: SessionScope,
  customers: readonly CustomerScope[],
  isOver: boolean,
): OpenSession {
  return Object.freeze({
    id: session,
    node,
    account: Object.freeze({ ...account }),
    credentialId: credential,
    purpose,
    ticket,
    isOver,
    customers: Object.freeze(customers),
    start: Object.freeze([...start]),
  });
}
