// Owns: writing ledger entries, in the effect's own transaction.
// Must never: be called after the effect; if the entry cannot be written, the effect does not happen. A field that nobody classified is secret.
import { plainAddressBytes } from '../../domain/addresses.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { operatorsIn, unclassified } from '../../domain/ledger/entry-kinds.ts';
import type { Transaction } from '../../postgres/database.ts';
import { insertEntry } from '../../postgres/entry-queries.ts';
import type { LedgerEntry, OpenSession } from '../context.ts';

const watched = new WeakMap<Transaction, LedgerEntry[]>();

/** What this transaction records from now on, as it is recorded: for a plan, which is undone. */
export function watch(tx: Transaction): readonly LedgerEntry[] {
  const entries: LedgerEntry[] = [];
  watched.set(tx, entries);
  return entries;
}

/** Who did something through a session, where. */
export const bySession = ({ id, node, account }: OpenSession) =>
  ({ account: account.id, session: id, node, plane: account.plane, observer: 'warden' }) as const;

/**
 * Text as the database can hold it. Words are checked where they arrive; what still cannot be written costs its own characters, never the entry.
 */
const text = (value: string): string => value.toWellFormed().replaceAll('\0', '\ufffd');
const textOrNull = (value: string | null | undefined): string | null => (value == null ? null : text(value));
const numberOrNull = (value: number | null | undefined): number | null => (value != null && Number.isSafeInteger(value) ? value : null);
const json = (value: object): string => JSON.stringify(value, (_name, one: unknown) => (typeof one === 'string' ? text(one) : one));

const columns = [
  ...[
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
    'bytes',
    'public',
  ],
  ...['credential', 'also_credential', 'source', 'source_port', 'client', 'operator', 'sensitive'],
];

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
