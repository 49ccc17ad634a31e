// Owns: the seals of rows that decide what a session may do: made in the transaction that wrote the row, verified at
// every use.
// Must never: seal a row that its writer did not declare, or accept a row whose seal, maker or change does not verify.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Proposal } from '../../rpc/change-document.ts';
import type { Warden } from '../context/context.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { record } from '../ledger/entries/record.ts';
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
const rowKey = ({ kind, id }: RowName): string => `${kind}/${id}`;

/** Seals these rows as they stand, without any check. The caller is responsible for them. */
export async function sealRows<R extends Sealable>(
  tx: Transaction,
  keys: KeyRing,
  rows: readonly R[],
): Promise<readonly Sealed<R>[]> {
  const sealed = rows.map((row) => ({ ...row, mac: keys.sealRow(partOf(row)) }));
  if (sealed.length > 0) await writeSeals(tx, sealed, keys.rowSealId);
  return sealed;
}

type Sealed<R> = R & { readonly mac: Buffer };

/**
 * Who writes rows. `change` returns the change that two operators signed, or null for what `maker` may write without
 * one.
 */
export type Behalf = { readonly maker: Maker; readonly change: () => string | null };

/** The error that a row is not what was declared. The whole transaction is undone, and an alert is raised. */
class Undeclared extends CofferdamError {
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
 * Returns the change that a row names from now on. An emergency keeps the change by which it was prepared, however it
 * is used.
 */
const named = (kind: SealKind, before: string | null, change: string | null): string | null =>
  kind === 'break-glass' ? (before ?? change) : (change ?? before);

/**
 * Returns the next generation. A new row was never sealed; a changed one must be of the generation that was verified. A
 * row that was altered and ends, or was put back, counts on from the greatest one that is there or is known. Throws
 * Undeclared when it does not fit.
 */
function nextGeneration(row: SealedRow, before: SealedRow | null, known: Generations, isOver: boolean): number {
  const isCounted = isOver || (before !== null && before.generation === row.generation && known.isPutBack(before));
  const last = isCounted ? Math.max(row.generation, known.newest(row)) : (before?.generation ?? 0);
  if (isCounted && Number.isSafeInteger(last + 1)) return last + 1;
  if (row.generation !== last || known.newest(row) > last || !Number.isSafeInteger(last + 1))
    throw new Undeclared(row, 'its generation is not the one that was declared', before);
  return last + 1;
}

/**
 * Returns what to seal for a row. `isGood` tells whether its former state was good. Throws Undeclared when it may not
 * be sealed.
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
  if (declared.isEnd && !isEnded(row)) throw new Undeclared(row, 'it was to be ended and was not', declared.before);
  // When somebody else altered the row before, its end takes over neither its change nor its maker.
  const before = declared.before !== null && isGood(declared.before) ? declared.before : null;
  const isOver = declared.isEnd === true && before === null;
  const generation = nextGeneration(row, before, known, isOver);
  const by = change();
  if (before === null && by === null && !isOver && !mayBeMadeBy(row.kind, maker))
    throw new Undeclared(row, 'this takes two operators');
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
 * Returns whether a missing row of this kind would pass for one never made. The record names such rows from their first
 * seal on.
 */
const isMissed = (kind: SealKind): boolean => kind === 'second-factor';

type Altered = { readonly row: SealedRow; readonly declared: Declared };

/**
 * Returns the declared rows that were altered. Throws Undeclared for one that is relied on, or by which something may
 * be widened.
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
  const verdict = await judge(tx, keys, before, [], {
    mayBeOld: (row) => narrowed.has(rowKey(row)) && known.isPutBack(row),
  });
  const isGood = (row: SealedRow): boolean => verdict(row) && !others.has(rowKey(row));
  const altered = all.flatMap((declared) =>
    declared.before === null || isGood(declared.before) ? [] : [{ row: declared.before, declared }],
  );
  const broken = altered.find(({ declared }) => declared.isEnd !== true && !declared.narrows);
  if (broken !== undefined) throw new Undeclared(broken.row, 'it was altered before', broken.row);
  return { altered, isGood };
}

/**
 * Returns whether a row to be narrowed was altered. Then it is compared with nothing: what is asked for is written,
 * unsealed.
 */
export async function isFoundAltered(tx: Transaction, keys: KeyRing, name: RowName): Promise<boolean> {
  const declared = declarationsOf(tx).get(rowKey(name));
  if (declared?.before == null) return false;
  const known = generationsOf(keys);
  await known.refresh(tx);
  const isGood = await judge(tx, keys, [declared.before], [], {
    mayBeOld: (row) => declared.narrows && known.isPutBack(row),
  });
  if (isGood(declared.before) && declared.isOther !== true) return false;
  holdForAltered(tx, name);
  return true;
}

/**
 * Returns the error for a change that cannot be distinguished from widening, because the row was altered. It raises an
 * alert.
 */
export const alteredBefore = (tx: Transaction, name: RowName): Undeclared =>
  new Undeclared(name, 'it was altered before', declarationsOf(tx).get(rowKey(name))?.before ?? null);

const isChanged = ({ declared }: Altered): boolean => Object.keys(declared.facts).length > 0;

/**
 * Raises the alerts about altered rows that did not prevent the change. What an ended row said can only be found in a
 * backup. A row that was only found is verified again first: an honest change may have sealed it since.
 */
async function tellAltered(tx: Transaction, keys: KeyRing, altered: readonly Altered[]): Promise<void> {
  for (const one of altered) {
    const { row, declared } = one;
    if (declared.isEnd === true) await alarmBroken(tx, row, 'it was ended regardless of what it said');
    else if (isChanged(one))
      await alarmBroken(
        tx,
        row,
        'the restriction was written and the row has no seal, so it opens nothing: restore the row as it was, then restrict it again',
      );
    else if (declared.isOther === true || (await look(tx, keys, [row], [])).broken !== undefined)
      await alarmBroken(
        tx,
        row,
        'the operation that named it was done all the same, because it only takes something away',
      );
  }
}

/** Checks, for a plan, the rows on which the plan relies or from which it takes something away, as sealing would. */
export async function examineDeclared(tx: Transaction, keys: KeyRing): Promise<void> {
  await tellAltered(tx, keys, (await alteredAmong(tx, keys)).altered);
}

/**
 * Returns whether an altered row that was narrowed stays unsealed. Throws Undeclared when somebody sealed it again
 * meanwhile.
 */
function leftUnsealed(row: SealedRow, altered: readonly Altered[]): boolean {
  const one = altered.find((other) => rowKey(other.row) === rowKey(row));
  if (one === undefined || one.declared.isEnd === true || !isChanged(one)) return false;
  if (one.row.generation !== row.generation)
    throw new Undeclared(row, 'its generation is not the one that was declared', one.row);
  return true;
}

async function sealDeclared(tx: Transaction, keys: KeyRing, word: string, behalf: Behalf): Promise<void> {
  const declared = declarationsOf(tx);
  // The former rows must be what the warden had written, because a change of one fact must not make the other facts
  // valid.
  const { altered, isGood } = await alteredAmong(tx, keys);
  const known = generationsOf(keys);
  const touched = (await readRows(tx, await rowsWrittenUnder(tx, word))).filter((row) => !leftUnsealed(row, altered));
  const rows = touched.map((row) => sealable(row, declared.get(rowKey(row)), behalf, known, isGood));
  const sealed = await sealRows(tx, keys, rows);
  await requireGood(tx, keys, sealed);
  await tellAltered(tx, keys, altered);
  const again = sealed.filter((row) => row.generation > 1 || isMissed(row.kind) || known.isAfterAnother(row));
  const narrowed = altered
    .filter((one) => one.declared.isEnd !== true && isChanged(one))
    .map(({ row }) => known.narrowedRow(row));
  if (again.length + narrowed.length === 0) return;
  const told = [...again.map(resealedRow), ...narrowed.map(([kind, id, generation]) => [kind, id, generation])];
  const sensitive = { rows: told, ...(narrowed.length === 0 ? {} : { narrowed }) };
  await record(tx, { kind: 'rows.resealed', observer: 'warden', sensitive });
  await tellResealed(tx);
}

/**
 * Requires that the sealed rows pass every reader's check. Otherwise rows would be made that are refused whenever they
 * are used.
 */
async function requireGood(tx: Transaction, keys: KeyRing, sealed: readonly Sealable[]): Promise<void> {
  const rows = await readRows(tx, sealed);
  // These rows were sealed in this transaction and are not on the record yet.
  const own = new Set(sealed.map(rowKey));
  const isGood = await judge(tx, keys, rows, [], { isOwn: (row) => own.has(rowKey(row)) });
  const bad = rows.find((row) => !isGood(row));
  if (bad !== undefined) throw new Undeclared(bad, 'every reader would refuse such a row');
}

/**
 * Runs `work`, then seals what it declared and wrote, naming its change or its maker. When the database wrote or
 * altered a row that was not declared, fact for fact, the transaction is undone and an alert is raised, also when a
 * plan finds it.
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
 * Returns a function that checks that a row is what the warden wrote last: its seal, its generation, and its maker or
 * change.
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

/**
 * Returns the facts of a verified row. The caller vouches for the type; the properties are the columns in
 * `seal-queries.ts`.
 */
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
  // Somebody may have sealed the row again since it, or the record, was read: the record is read again before the row
  // counts as broken.
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
 * Returns the first row that is missing, unsealed, altered, outdated, or made by somebody who may not; undefined if all
 * are good.
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

/** Does what `firstBroken` does, and returns the verified rows. A caller must use what they say, or compare with it. */
export const verifiedRows = (
  tx: Transaction,
  keys: KeyRing,
  names: readonly RowName[],
  within: readonly string[] = [],
): Promise<Looked> => look(tx, keys, names, within);

/**
 * Verifies the rows of a login's account and customers, possibly hundreds: all that it relies on except its window and
 * its ticket.
 */
export async function verifiedAhead(
  tx: Transaction,
  keys: KeyRing,
  account: string,
  credentials: readonly string[],
): Promise<Looked> {
  return look(tx, keys, await rowsBehind(tx, account, credentials), []);
}

/**
 * Returns whether these are still all rows behind the login, none of them sealed again: then what was verified is up to
 * date.
 */
async function isUnchanged(
  tx: Transaction,
  keys: KeyRing,
  names: readonly RowName[],
  rows: VerifiedRows,
): Promise<boolean> {
  if (names.length !== rows.size) return false;
  const known = generationsOf(keys);
  const macs = new Map((await macsOf(tx, names)).map((one) => [rowKey(one), one.mac]));
  return names.every((name) => {
    const row = rows.get(rowKey(name));
    return (
      row?.mac != null &&
      macs.get(rowKey(name))?.equals(row.mac) === true &&
      !known.isOld(row) &&
      !known.isUnrecorded(row)
    );
  });
}

/**
 * Reads and verifies at one moment all that a login is about to rely on. `ahead` is what `verifiedAhead` verified
 * earlier in this transaction; it is used when one query of the seals shows that nothing of it was sealed again.
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
    // A ticket works once, and what it opens lasts: what another warden recorded a moment ago must be read before it is
    // used.
    await generationsOf(keys).refresh(tx);
  }
  if (ahead === undefined || ahead.broken !== undefined || !(await isUnchanged(tx, keys, names, ahead.rows)))
    return look(tx, keys, [...names, ...more], []);
  const { broken, rows } = await look(tx, keys, more, []);
  return { broken, rows: new Map([...ahead.rows, ...rows]) };
}
