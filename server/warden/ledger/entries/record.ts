// Owns: writing the ledger entry of an effect, in the effect's own transaction.
// Must never: be called after the transaction of the effect: when the entry cannot be written, the effect must not
// happen. A field that has no class counts as secret, and an entry with such a field is refused.
import { plainAddressBytes } from '../../../domain/addresses.ts';
import { CofferdamError } from '../../../domain/errors.ts';
import type { AccountId, NodeName, Plane, SessionId } from '../../../domain/ids.ts';
import { operatorsIn, unclassified } from '../../../domain/ledger/entry-kinds.ts';
import type { EntryColumn } from '../../../domain/ledger/written.ts';
import type { Transaction } from '../../../postgres/database.ts';
import { insertEntry } from '../../../postgres/entry-queries.ts';
import type { LedgerEntry } from './entry.ts';

const watched = new WeakMap<Transaction, LedgerEntry[]>();

/**
 * Returns a list that collects every entry which this transaction records from now on. A plan uses it to show the
 * entries before its savepoint is undone.
 */
export function watch(tx: Transaction): readonly LedgerEntry[] {
  const entries: LedgerEntry[] = [];
  watched.set(tx, entries);
  return entries;
}

type Acting = {
  readonly id: SessionId;
  readonly node: NodeName;
  readonly account: { readonly id: AccountId; readonly plane: Plane };
};

/** Returns the fields of an entry that say which session acted, for which account, on which node and plane. */
export const bySession = ({ id, node, account }: Acting) =>
  ({ account: account.id, session: id, node, plane: account.plane, observer: 'warden' }) as const;

/**
 * Returns a text that the database can store. Input is validated where it arrives; characters that still cannot be
 * stored are replaced, and never prevent the entry.
 */
const text = (value: string): string => value.toWellFormed().replaceAll('\0', '\ufffd');
const textOrNull = (value: string | null | undefined): string | null => (value == null ? null : text(value));
const numberOrNull = (value: number | null | undefined): number | null =>
  value != null && Number.isSafeInteger(value) ? value : null;
const json = (value: object): string =>
  JSON.stringify(value, (_name, one: unknown) => (typeof one === 'string' ? text(one) : one));

const columns: readonly EntryColumn[] = [
  ...([
    'kind',
    'observer',
    'customer_id',
    'account_id',
    'session_id',
    'node',
    'plane',
    'handle_id',
    'version_id',
    'extent',
  ] as const),
  ...([
    'bytes',
    'public',
    'credential',
    'also_credential',
    'source',
    'source_port',
    'client',
    'operator',
    'sensitive',
  ] as const),
];

/**
 * Writes one entry in the transaction of its effect. Throws `bug` when the kind or a field is not listed in
 * `entry-kinds.ts`.
 */
export async function record(tx: Transaction, entry: LedgerEntry): Promise<void> {
  const [shown, hidden] = [entry.public ?? {}, entry.sensitive ?? {}];
  const fault = unclassified(entry.kind, { public: shown, sensitive: hidden });
  if (fault !== undefined) throw new CofferdamError('bug', fault);
  watched.get(tx)?.push(entry);
  const operators = operatorsIn(hidden.by ?? hidden.operator);
  await insertEntry(tx, columns, [
    entry.kind,
    entry.observer,
    entry.customer ?? null,
    entry.account ?? null,
    entry.session ?? null,
    entry.node ?? null,
    entry.plane ?? null,
    entry.handle ?? null,
    entry.version ?? null,
    numberOrNull(entry.extent),
    numberOrNull(entry.bytes),
    json(shown),
    textOrNull(entry.credential),
    textOrNull(entry.alsoCredential),
    entry.source == null || plainAddressBytes(entry.source.address) === undefined ? null : entry.source.address,
    numberOrNull(entry.source?.port),
    textOrNull(entry.client),
    operators.length === 0 ? null : operators.join(' '),
    json(hidden),
  ]);
}
