// Owns: the seals of rows that decide what a session may do: made in the transaction that wrote the row, and verified
// whenever the row is used.
// Must never: seal a row that its writer did not declare, or accept a row whose seal, maker or change does not verify.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Proposal } from '../../rpc/change-document.ts';
import type { KeyRing, Warden } from '../context.ts';
import { record } from '../ledger/ledger-queries.ts';
import { alarmBroken } from './altered-rows.ts';
import { type Declared, declarationsOf, deviation, holdForAltered } from './declared.ts';
import { type Generations, generationsOf, resealedRow } from './generations.ts';
import { genuineAmong } from './genuine.ts';
import { fitsChange, groundOfOwn, isAccess, isEnded, type Maker, mayBeMadeBy } from './provenance.ts';
import {
  macsOf,
  type RowName,
  readRows,
  rowsBehind,
  rowsWrittenUnder,
  type SealedRow,
  type SealKind,
  setWord,
  tellResealed,
  windowKind,
  writeSeals,
} from './seal-queries.ts';

type Sealable = Pick<SealedRow, 'kind' | 'id' | 'facts' | 'change' | 'maker' | 'generation'>;
const partOf = ({ kind, id, facts, change, maker, generation }: Sealable): readonly string[] => [
  kind,
  id,
  facts,
  change ?? '',
  maker ?? '',
  String(generation),
];
export const rowKey = ({ kind, id }: RowName): string => `${kind}/${id}`;

/** Seals these rows as they stand, without any check. The caller is responsible for them. */
export async function sealRows<R extends Sealable>(tx: Transaction, keys: KeyRing, rows: readonly R[]): Promise<readonly Sealed<R>[]> {
  const sealed = rows.map((row) => ({ ...row, mac: keys.sealRow(partOf(row)) }));
  if (sealed.length > 0) await writeSeals(tx, sealed, keys.rowSealId);
  return sealed;
}

type Sealed<R> = R & { readonly mac: Buffer };

/**
 * On whose behalf rows are written. `change` returns the id of the change that two operators signed, or null for what
 * `maker` may do without one.
 */
export type Behalf = { readonly maker: Maker; readonly change: () => string | null };

/** The error that a row is not what was declared. The whole transaction is undone, and an alarm is raised. */
export class Undeclared extends CofferdamError {
  readonly row: RowName;
  /** The row as it was when its change was declared. */
  readonly before: SealedRow | null;

  constructor(row: RowName, why: string, before: SealedRow | null = null) {
    super('denied', `the database wrote what nobody asked for (${row.kind} ${row.id}, ${why}): nothing was done`);
    this.row = row;
    this.before = before;
  }
}

/**
 * Returns the change that a row names after this write. An emergency keeps the change by which two operators prepared
 * it; using it does not replace that.
 */
const named = (kind: SealKind, before: string | null, change: string | null): string | null =>
  kind === 'break-glass' ? (before ?? change) : (change ?? before);

/**
 * Returns the next generation of a row. A new row was never sealed; a changed row must be of the generation that was
 * read and verified. For an end whose row was altered before, and for a row that was put back after something was taken
 * away from it, counting continues from the greatest generation that stands there or is known. Throws Undeclared when
 * the generations do not fit.
 */
function nextGeneration(row: SealedRow, before: SealedRow | null, known: Generations, isOver: boolean): number {
  const isCounted = isOver || (before !== null && before.generation === row.generation && known.isPutBack(before));
  const last = isCounted ? Math.max(row.generation, known.newest(row)) : (before?.generation ?? 0);
  if (isCounted && Number.isSafeInteger(last + 1)) return last + 1;
  if (row.generation !== last || known.newest(row) > last || !Number.isSafeInteger(last + 1))
    throw new Undeclared(row, 'it is not of the generation that was declared', before);
  return last + 1;
}

/**
 * Returns what is to be sealed for a row that this transaction wrote. Throws Undeclared when the row was not declared
 * or differs, or when it needs two operators. `isGood` tells whether the former row was what the warden had written.
 */
function sealable(
  row: SealedRow,
  declared: Declared | undefined,
  { maker, change }: Behalf,
  known: Generations,
  isGood: (row: SealedRow) => boolean,
): Sealable {
  if (declared === undefined) throw new Undeclared(row, 'it was not declared');
  const odd = deviation(row, declared);
  if (odd !== undefined) throw new Undeclared(row, `${odd} is not what was declared`, declared.before);
  if (declared.isEnd && !isEnded(row)) throw new Undeclared(row, 'it is not at its end', declared.before);
  // When somebody else altered the row before, its end takes over neither its change nor its maker.
  const before = declared.before !== null && isGood(declared.before) ? declared.before : null;
  const isOver = declared.isEnd === true && before === null;
  const generation = nextGeneration(row, before, known, isOver);
  const by = change();
  if (before === null && by === null && !isOver && !mayBeMadeBy(row.kind, maker)) throw new Undeclared(row, 'this takes two operators');
  return {
    kind: row.kind,
    id: row.id,
    facts: row.facts,
    change: named(row.kind, before?.change ?? null, by),
    maker: before === null ? (by === null ? maker : null) : before.maker,
    generation,
  };
}

/**
 * Returns whether the absence of a row of this kind would pass for a row that was never made. The record therefore
 * names such a row from its first seal on.
 */
const isMissed = (kind: SealKind): boolean => kind === 'second-factor';

type Altered = { readonly row: SealedRow; readonly declared: Declared };

/**
 * Returns the declared rows that were not what the warden had written, and `isGood`, which tells whether a row was.
 * Throws Undeclared when such a row is relied on, or is changed in a way that may widen something.
 */
async function alteredAmong(
  tx: Transaction,
  keys: KeyRing,
): Promise<{ readonly altered: readonly Altered[]; isGood(row: SealedRow): boolean }> {
  const all = [...declarationsOf(tx).values()];
  const before = all.flatMap((one) => one.before ?? []);
  // Another warden may have sealed the rows since. What it recorded is newer than what this process knows.
  const known = generationsOf(keys);
  await known.refresh(tx);
  const narrowed = new Set(all.filter((one) => one.narrows).map(rowKey));
  const others = new Set(all.filter((one) => one.isOther).map(rowKey));
  const verdict = await judge(tx, keys, before, [], { mayBeOld: (row) => narrowed.has(rowKey(row)) && known.isPutBack(row) });
  const isGood = (row: SealedRow): boolean => verdict(row) && !others.has(rowKey(row));
  const altered = all.flatMap((declared) =>
    declared.before === null || isGood(declared.before) ? [] : [{ row: declared.before, declared }],
  );
  const broken = altered.find(({ declared }) => declared.isEnd !== true && !declared.narrows);
  if (broken !== undefined) throw new Undeclared(broken.row, 'it was altered before', broken.row);
  return { altered, isGood };
}

/**
 * Returns whether a row that is narrowed was altered before, by the rules that sealing will apply. When it was, nothing
 * is compared with what the row says: the value that was asked for is written, and the row stays unsealed.
 */
export async function isFoundAltered(tx: Transaction, keys: KeyRing, name: RowName): Promise<boolean> {
  const declared = declarationsOf(tx).get(rowKey(name));
  if (declared?.before == null) return false;
  const known = generationsOf(keys);
  await known.refresh(tx);
  const isGood = await judge(tx, keys, [declared.before], [], { mayBeOld: (row) => declared.narrows && known.isPutBack(row) });
  if (isGood(declared.before) && declared.isOther !== true) return false;
  holdForAltered(tx, name);
  return true;
}

/** Returns the error for a change that cannot be distinguished from widening, because the row was altered. It raises an alarm. */
export const alteredBefore = (tx: Transaction, name: RowName): Undeclared =>
  new Undeclared(name, 'it was altered before', declarationsOf(tx).get(rowKey(name))?.before ?? null);

const isChanged = ({ declared }: Altered): boolean => Object.keys(declared.facts).length > 0;

/**
 * Raises the alarms about altered rows that did not prevent the change. What a row said that was brought to its end is
 * gone then: it can only be found in a backup. A row that was only found may have been sealed again since by an honest
 * change, so it is verified once more first.
 */
async function tellAltered(tx: Transaction, keys: KeyRing, altered: readonly Altered[]): Promise<void> {
  for (const one of altered) {
    const { row, declared } = one;
    if (declared.isEnd === true) await alarmBroken(tx, row, 'it was brought to its end whatever it said');
    else if (isChanged(one))
      await alarmBroken(
        tx,
        row,
        'what was taken away is written, and it has no seal: it opens nothing. Put it back as it was, and narrow it again',
      );
    else if (declared.isOther === true || (await look(tx, keys, [row], [])).broken !== undefined)
      await alarmBroken(tx, row, 'what was named by it was done all the same, since it takes something away');
  }
}

/** Checks, for a plan, the rows on which the plan relies or from which it takes something away, as sealing would. */
export async function examineDeclared(tx: Transaction, keys: KeyRing): Promise<void> {
  await tellAltered(tx, keys, (await alteredAmong(tx, keys)).altered);
}

/**
 * Returns whether a row stays without a seal, because it was altered and something was taken away from it. Throws
 * Undeclared when somebody sealed it again meanwhile; the command is then tried again.
 */
function leftUnsealed(row: SealedRow, altered: readonly Altered[]): boolean {
  const one = altered.find((other) => rowKey(other.row) === rowKey(row));
  if (one === undefined || one.declared.isEnd === true || !isChanged(one)) return false;
  if (one.row.generation !== row.generation) throw new Undeclared(row, 'it is not of the generation that was declared', one.row);
  return true;
}

async function sealDeclared(tx: Transaction, keys: KeyRing, word: string, behalf: Behalf): Promise<void> {
  const declared = declarationsOf(tx);
  // The former rows must be what the warden had written, because a change of one fact must not make the other facts valid.
  const { altered, isGood } = await alteredAmong(tx, keys);
  const known = generationsOf(keys);
  const touched = (await readRows(tx, await rowsWrittenUnder(tx, word))).filter((row) => !leftUnsealed(row, altered));
  const rows = touched.map((row) => sealable(row, declared.get(rowKey(row)), behalf, known, isGood));
  const sealed = await sealRows(tx, keys, rows);
  await requireGood(tx, keys, sealed);
  await tellAltered(tx, keys, altered);
  const again = sealed.filter((row) => row.generation > 1 || isMissed(row.kind) || known.isAfterAnother(row));
  const narrowed = altered.filter((one) => one.declared.isEnd !== true && isChanged(one)).map(({ row }) => known.narrowedRow(row));
  if (again.length + narrowed.length === 0) return;
  const told = [...again.map(resealedRow), ...narrowed.map(([kind, id, generation]) => [kind, id, generation])];
  const sensitive = { rows: told, ...(narrowed.length === 0 ? {} : { narrowed }) };
  await record(tx, { kind: 'rows.resealed', observer: 'warden', sensitive });
  await tellResealed(tx);
}

/**
 * Requires that the rows which were just sealed pass the check that every reader makes. Otherwise rows could be made
 * that are refused whenever they are used.
 */
async function requireGood(tx: Transaction, keys: KeyRing, sealed: readonly Sealable[]): Promise<void> {
  const rows = await readRows(tx, sealed);
  // These rows were sealed in this transaction and are not on the record yet.
  const own = new Set(sealed.map(rowKey));
  const isGood = await judge(tx, keys, rows, [], { isOwn: (row) => own.has(rowKey(row)) });
  const bad = rows.find((row) => !isGood(row));
  if (bad !== undefined) throw new Undeclared(bad, 'nobody may make it so');
}

/**
 * Runs `work`, then seals what it declared and wrote, with the change that allowed it or its maker. A row that it wrote
 * and did not declare, fact for fact, was written by something inside the database: the transaction is undone and an
 * alarm is raised. The same holds when `work` itself finds such a row while it makes a plan.
 */
export async function sealing<T>(
  tx: Transaction,
  warden: Pick<Warden, 'keys' | 'database'>,
  behalf: Behalf,
  work: () => Promise<T>,
): Promise<T> {
  const word = randomBytes(18).toString('base64url');
  await setWord(tx, word);
  try {
    const result = await work();
    await sealDeclared(tx, warden.keys, word, behalf);
    return result;
  } catch (error) {
    if (!(error instanceof Undeclared)) throw error;
    const { row, before } = error;
    await warden.database.onceUndone(async (other) => {
      if (before !== null && (await isNewer(other, warden.keys, before)))
        return new CofferdamError(
          'conflict',
          `the ${row.kind} was changed by somebody else at the same moment: nothing was done, try again`,
        );
      await alarmBroken(other, row, `${error.message} (a trigger, or a row altered before)`);
      return undefined;
    });
    throw error;
  }
}

/**
 * Returns whether the committed row is good and newer than what was read. Then an honest change came first, and this
 * one is a conflict.
 */
async function isNewer(other: Transaction, keys: KeyRing, before: SealedRow): Promise<boolean> {
  const { broken, rows } = await look(other, keys, [before], []);
  return broken === undefined && (rows.get(rowKey(before))?.generation ?? 0) > before.generation;
}

const isSealGood = (keys: KeyRing, row: SealedRow): boolean => {
  if (row.mac === null || row.sealedBy !== keys.rowSealId) return false;
  const expected = keys.sealRow(partOf(row));
  return expected.length === row.mac.length && timingSafeEqual(expected, row.mac);
};

const isMadeWell = (row: SealedRow, changes: ReadonlyMap<string, Proposal>): boolean => {
  if (row.change === null) return !isAccess(row.kind) || mayBeMadeBy(row.kind, row.maker);
  const change = changes.get(row.change);
  return change !== undefined && fitsChange(row, change);
};

const isOwnRow = (row: SealedRow): boolean => row.change === null && row.maker === 'self-test';

/**
 * Reads the rows on which rows of self-tests among these depend, and those on which these depend in turn, by `kind/id`.
 */
async function readGrounds(tx: Transaction, rows: readonly SealedRow[]): Promise<ReadonlyMap<string, SealedRow>> {
  const grounds = new Map<string, SealedRow>();
  for (let above = rows.filter(isOwnRow); above.length > 0; ) {
    const names = above.flatMap((row) => groundOfOwn(row) ?? []).filter((name) => !grounds.has(rowKey(name)));
    above = [...(await readRows(tx, names))];
    for (const row of above) grounds.set(rowKey(row), row);
  }
  return grounds;
}

/**
 * Returns a function that tells whether a row is what the warden wrote last, made by somebody who may: it checks the
 * seal, the generation, and the maker or the change.
 */
async function judge(
  tx: Transaction,
  keys: KeyRing,
  rows: readonly SealedRow[],
  within: readonly string[],
  /** `mayBeOld`: an old state that is accepted this time. `isOwn`: a row that this transaction sealed itself. */
  exempt: { readonly mayBeOld?: (row: SealedRow) => boolean; readonly isOwn?: (row: SealedRow) => boolean } = {},
): Promise<(row: SealedRow) => boolean> {
  const changes = new Set(rows.flatMap((row) => row.change ?? []));
  const good = await genuineAmong(tx, keys, [...changes], within);
  const grounds = await readGrounds(tx, rows);
  const known = generationsOf(keys);
  const isGood = (row: SealedRow): boolean =>
    isSealGood(keys, row) &&
    (!known.isOld(row) || exempt.mayBeOld?.(row) === true) &&
    (!known.isUnrecorded(row) || exempt.isOwn?.(row) === true) &&
    !known.isOutOfPlace(row) &&
    isMadeWell(row, good) &&
    (!isOwnRow(row) || isOnOwnGround(row));
  /** Returns whether all rows on which a self-test's row depends are good, and are a self-test's themselves. */
  const isOnOwnGround = (row: SealedRow): boolean =>
    groundOfOwn(row)?.every((name) => {
      const ground = grounds.get(rowKey(name));
      return ground !== undefined && isOwnRow(ground) && isGood(ground);
    }) === true;
  return isGood;
}

/** Rows that were read and verified, by `kind/id`. */
export type VerifiedRows = ReadonlyMap<string, SealedRow>;
type Looked = { readonly broken: RowName | undefined; readonly rows: VerifiedRows };

/** Returns the facts of a verified row. The caller vouches for the type; the properties are the columns in `seal-queries.ts`. */
export function factsOfRow<T>(rows: VerifiedRows, name: RowName): T | undefined {
  const row = rows.get(rowKey(name));
  return row === undefined ? undefined : (JSON.parse(row.facts) as T);
}

async function look(
  tx: Transaction,
  keys: KeyRing,
  names: readonly RowName[],
  within: readonly string[],
  isAgain = false,
): Promise<Looked> {
  const rows = new Map((await readRows(tx, names)).map((row) => [rowKey(row), row]));
  const isGood = await judge(tx, keys, [...rows.values()], within);
  const generations = generationsOf(keys);
  // The record is read again before a row counts as broken: somebody may have sealed the row again since the record was
  // last read, or since the row was read.
  if (!isAgain && [...rows.values()].some((row) => generations.isOld(row) || generations.isUnrecorded(row))) {
    await generations.refresh(tx);
    return look(tx, keys, names, within, true);
  }
  const broken = names.find((name) => {
    const row = rows.get(rowKey(name));
    if (row === undefined || !isGood(row)) return true;
    generations.learn(row);
    return false;
  });
  return { broken, rows };
}

/**
 * Returns the first of these rows that is missing, unsealed, altered, of an earlier state, or made by somebody who may
 * not; undefined when all of them are good.
 */
export async function firstBroken(
  tx: Transaction,
  keys: KeyRing,
  names: readonly RowName[],
  /** The changes whose verification this is a part of. No change may prove itself. */
  within: readonly string[] = [],
): Promise<RowName | undefined> {
  return (await look(tx, keys, names, within)).broken;
}

/**
 * Does the same as `firstBroken` and also returns the rows as they were verified. A caller that uses what a row says
 * takes it from these, or compares it with them.
 */
export const verifiedRows = (tx: Transaction, keys: KeyRing, names: readonly RowName[], within: readonly string[] = []): Promise<Looked> =>
  look(tx, keys, names, within);

/**
 * Verifies the rows on which a login relies, except its window and its ticket: the rows of its account and customers,
 * of which there may be hundreds.
 */
export async function verifiedAhead(tx: Transaction, keys: KeyRing, account: string, credentials: readonly string[]): Promise<Looked> {
  return look(tx, keys, await rowsBehind(tx, account, credentials), []);
}

/**
 * Returns whether these are still all the rows behind the login and none was sealed again, so that what was verified is
 * what the warden wrote last.
 */
async function isUnchanged(tx: Transaction, keys: KeyRing, names: readonly RowName[], rows: VerifiedRows): Promise<boolean> {
  if (names.length !== rows.size) return false;
  const known = generationsOf(keys);
  const macs = new Map((await macsOf(tx, names)).map((one) => [rowKey(one), one.mac]));
  return names.every((name) => {
    const row = rows.get(rowKey(name));
    return row?.mac != null && macs.get(rowKey(name))?.equals(row.mac) === true && !known.isOld(row) && !known.isUnrecorded(row);
  });
}

/**
 * Reads and verifies in one step everything on which a login is about to rely, so that nothing is used that was read at
 * another moment. `ahead` is what `verifiedAhead` verified earlier in this transaction; it is used when a single query
 * of the seals shows that nothing of it was sealed again.
 */
export async function verifiedBehind(
  tx: Transaction,
  keys: KeyRing,
  login: {
    readonly account: string;
    readonly credentials: readonly string[];
    readonly window: string | null;
    readonly ticket: string | null;
  },
  ahead?: Looked,
): Promise<Looked> {
  const names = await rowsBehind(tx, login.account, login.credentials);
  const more: RowName[] = [];
  if (login.window !== null) more.push({ kind: await windowKind(tx, login.window), id: login.window });
  if (login.ticket !== null) {
    more.push({ kind: 'ticket', id: login.ticket });
    // A ticket works once, and what it opens lasts. Therefore the record is read here, and not only when the
    // notification of another warden arrives.
    await generationsOf(keys).refresh(tx);
  }
  if (ahead === undefined || ahead.broken !== undefined || !(await isUnchanged(tx, keys, names, ahead.rows)))
    return look(tx, keys, [...names, ...more], []);
  const { broken, rows } = await look(tx, keys, more, []);
  return { broken, rows: new Map([...ahead.rows, ...rows]) };
}
