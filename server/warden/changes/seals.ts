// Owns: the seals of rows that decide what a session may do: made in the transaction that wrote the row, verified whenever it is used.
// Must never: seal a row that this transaction did not write, or take a row whose seal or change does not verify.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { runtimePaths } from '../../config/config.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { KeyRing, Warden } from '../context.ts';
import { record } from '../ledger/ledger-queries.ts';
import { genuineAmong } from './genuine.ts';
import {
  installationId,
  markSealed,
  pageOfSeals,
  type RowName,
  readRows,
  rowsBehind,
  rowsWrittenUnder,
  type SealedRow,
  type SealKind,
  setWord,
  windowKind,
  writeSeals,
} from './seal-queries.ts';

const partOf = ({ kind, id, facts, change }: SealedRow): readonly string[] => [kind, id, facts, change ?? ''];

/** A glass that is broken stays the one that two prepared: what is done with it does not stand for it. */
const named = (row: SealedRow, change: string | null): string | null =>
  row.kind === 'break-glass' ? (row.change ?? change) : (change ?? row.change);

async function sealRows(tx: Transaction, keys: KeyRing, names: readonly RowName[], change: string | null): Promise<number> {
  const rows = (await readRows(tx, names)).map((row) => ({ ...row, change: named(row, change) }));
  if (rows.length > 0)
    await writeSeals(
      tx,
      rows.map((row) => ({ ...row, mac: keys.sealRow(partOf(row)) })),
      keys.rowSealId,
    );
  return rows.length;
}

/**
 * Runs `work`, then seals what it wrote, naming the change that allowed it. Null: the customer's own console, the warden itself, or one
 * operator who narrows; then the row keeps naming the change that made it.
 */
export async function sealing<T>(tx: Transaction, keys: KeyRing, change: () => string | null, work: () => Promise<T>): Promise<T> {
  const word = randomBytes(18).toString('base64url');
  await setWord(tx, word);
  const result = await work();
  await sealRows(tx, keys, await rowsWrittenUnder(tx, word), change());
  return result;
}

const isSealGood = (keys: KeyRing, row: SealedRow): boolean => {
  if (row.mac === null || row.sealedBy !== keys.rowSealId) return false;
  const expected = keys.sealRow(partOf(row));
  return expected.length === row.mac.length && timingSafeEqual(expected, row.mac);
};

/** Rows that were read and verified, by `kind/id`. */
export type VerifiedRows = ReadonlyMap<string, SealedRow>;
type Looked = { readonly broken: RowName | undefined; readonly rows: VerifiedRows };
export const rowKey = ({ kind, id }: RowName): string => `${kind}/${id}`;

/** What a verified row says. The type is the caller's word: the columns are those of seal-queries. */
export function factsOfRow<T>(rows: VerifiedRows, name: RowName): T | undefined {
  const row = rows.get(rowKey(name));
  return row === undefined ? undefined : (JSON.parse(row.facts) as T);
}

async function look(tx: Transaction, keys: KeyRing, names: readonly RowName[], within: readonly string[]): Promise<Looked> {
  const rows = new Map((await readRows(tx, names)).map((row) => [rowKey(row), row]));
  const changes = new Set([...rows.values()].flatMap((row) => row.change ?? []));
  const good = await genuineAmong(tx, keys, [...changes], within);
  const broken = names.find((name) => {
    const row = rows.get(rowKey(name));
    return row === undefined || !isSealGood(keys, row) || (row.change !== null && !good.has(row.change));
  });
  return { broken, rows };
}

/** The first of these rows that is missing, unsealed, altered, or made by a change whose signatures do not verify; undefined: all are good. */
export async function firstBroken(
  tx: Transaction,
  keys: KeyRing,
  names: readonly RowName[],
  /** Changes whose proof this is a part of: none may prove itself. */
  within: readonly string[] = [],
): Promise<RowName | undefined> {
  return (await look(tx, keys, names, within)).broken;
}

/** What a login is about to rely on: read and verified in one, so that nothing is relied on that was read at another moment. */
export async function verifiedBehind(
  tx: Transaction,
  keys: KeyRing,
  login: {
    readonly account: string;
    readonly credentials: readonly string[];
    readonly window: string | null;
    readonly ticket: string | null;
  },
): Promise<Looked> {
  const names = [...(await rowsBehind(tx, login.account, login.credentials))];
  if (login.window !== null) names.push({ kind: await windowKind(tx, login.window), id: login.window });
  if (login.ticket !== null) names.push({ kind: 'ticket', id: login.ticket });
  return look(tx, keys, names, []);
}

/** A row that is not what it was when the warden wrote it. Sessions and handles carry MACs of their own. */
export type AlteredRow = { readonly kind: SealKind | 'session' | 'download' | 'upload'; readonly id: string };

export async function alarmBroken(tx: Transaction, row: AlteredRow, where: string): Promise<void> {
  const facts = { kind: row.kind, row: row.id, where };
  await record(tx, { kind: 'row.broken-seal', observer: 'warden', sensitive: facts });
  await insertAlert(tx, {
    kind: 'row.broken-seal',
    severity: 'critical',
    subject: `${row.kind}/${row.id}`,
    text: `the row of ${row.kind} ${row.id} is not what the warden wrote: somebody changed the database; ${where}`,
    facts,
    nextCommand: 'cofferctl report changes --since 7d',
  });
}

const pageRows = 500;

/** Everything that carries a seal, in pages; what is broken. */
export async function* brokenSeals(warden: Pick<Warden, 'database' | 'keys'>): AsyncGenerator<RowName> {
  let after: RowName | null = null;
  for (;;) {
    const page: readonly RowName[] = await warden.database.withSystem((tx) => pageOfSeals(tx, after, pageRows));
    after = page.at(-1) ?? null;
    if (after === null) return;
    for (let rest = page; rest.length > 0; ) {
      const current = rest;
      const broken: RowName | undefined = await warden.database.withSystem((tx) => firstBroken(tx, warden.keys, current));
      if (broken === undefined) break;
      yield broken;
      rest = rest.slice(rest.indexOf(broken) + 1);
    }
  }
}

/**
 * Rows that an older version left have no seal: sealed once, when this database and this warden see the version that seals for the first
 * time. The mark on this machine keeps a database that forgot it from asking again.
 */
export async function adoptRows(warden: Pick<Warden, 'config' | 'database' | 'keys' | 'log'>): Promise<void> {
  const mark = runtimePaths(warden.config).sealedMark;
  const isMarked = existsSync(mark);
  const rows = await warden.database.withSystem(async (tx) => {
    const { isSealed } = await installationId(tx);
    if (isSealed) return 0;
    if (isMarked)
      throw new CofferdamError(
        'configuration',
        'this database says that its rows were never sealed, but this warden has sealed rows: is it the right database? Restore it, or look at OPERATIONS',
      );
    let sealed = 0;
    for (let after: RowName | null = null; ; ) {
      const page: readonly RowName[] = await pageOfSeals(tx, after, pageRows);
      const last = page.at(-1);
      if (last === undefined) break;
      sealed += await sealRows(tx, warden.keys, page, null);
      after = last;
    }
    await markSealed(tx);
    if (sealed > 0) await record(tx, { kind: 'rows.adopted', observer: 'warden', sensitive: { rows: sealed } });
    return sealed;
  });
  if (!isMarked) writeFileSync(mark, '', { mode: 0o400 });
  if (rows > 0) warden.log.warn({ rows }, 'rows of an older version were sealed, once');
}
