// Owns: the seals of rows that decide what a session may do: made in the transaction that wrote the row, verified whenever it is used.
// Must never: seal a row that its writer did not declare, or take a row whose seal, maker or change does not verify.
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

/** Whoever calls this answers for the rows: they are sealed as they stand. */
export async function sealRows<R extends Sealable>(tx: Transaction, keys: KeyRing, rows: readonly R[]): Promise<readonly Sealed<R>[]> {
  const sealed = rows.map((row) => ({ ...row, mac: keys.sealRow(partOf(row)) }));
  if (sealed.length > 0) await writeSeals(tx, sealed, keys.rowSealId);
  return sealed;
}

type Sealed<R> = R & { readonly mac: Buffer };

/** On whose behalf rows are written. `change`: the one that two allowed; null: what `maker` may do without. */
export type Behalf = { readonly maker: Maker; readonly change: () => string | null };

/** A row that is not what was declared: nothing of the transaction happens, and it is an alarm. */
export class Undeclared extends CofferdamError {
  readonly row: RowName;
  /** As it was when a change of it was declared. */
  readonly before: SealedRow | null;

  constructor(row: RowName, why: string, before: SealedRow | null = null) {
    super('denied', `the database wrote what nobody asked for (${row.kind} ${row.id}, ${why}): nothing was done`);
    this.row = row;
    this.before = before;
  }
}

/** A glass that is broken stays the one that two prepared: what is done with it does not stand for it. */
const named = (kind: SealKind, before: string | null, change: string | null): string | null =>
  kind === 'break-glass' ? (before ?? change) : (change ?? before);

/**
 * One more than it ever was. A row that is made was never sealed; one that is changed is of the generation that was read and verified. An end whose row
 * was altered before counts on from whatever stands there, or is known; so does one that was put back after something was taken from it.
 */
function nextGeneration(row: SealedRow, before: SealedRow | null, known: Generations, isOver: boolean): number {
  const isCounted = isOver || (before !== null && before.generation === row.generation && known.isPutBack(before));
  const last = isCounted ? Math.max(row.generation, known.newest(row)) : (before?.generation ?? 0);
  if (isCounted && Number.isSafeInteger(last + 1)) return last + 1;
  if (row.generation !== last || known.newest(row) > last || !Number.isSafeInteger(last + 1))
    throw new Undeclared(row, 'it is not of the generation that was declared', before);
  return last + 1;
}

/** `isGood`: whether what stood there before was what the warden had written. */
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
  // Of a row that somebody else altered, an end takes over nothing.
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

/** Where no row at all would be taken for a beginning: that there was one is on the record from the first seal on. */
const isMissed = (kind: SealKind): boolean => kind === 'second-factor';

type Altered = { readonly row: SealedRow; readonly declared: Declared };

/** Of what is declared, the rows that were not what the warden had written; `isGood`: of each that was. Throws for one that is relied on, or changed in what may be wider. */
async function alteredAmong(
  tx: Transaction,
  keys: KeyRing,
): Promise<{ readonly altered: readonly Altered[]; isGood(row: SealedRow): boolean }> {
  const all = [...declarationsOf(tx).values()];
  const before = all.flatMap((one) => one.before ?? []);
  // Another warden may have sealed them since: what it recorded is newer than what is known here.
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

/** Whether a row that is narrowed was altered before, as sealing will judge it. Then nothing is compared with what it says: what is asked is written, unsealed. */
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

/** For what cannot be told from what widens, since the row was altered: an alarm. */
export const alteredBefore = (tx: Transaction, name: RowName): Undeclared =>
  new Undeclared(name, 'it was altered before', declarationsOf(tx).get(rowKey(name))?.before ?? null);

const isChanged = ({ declared }: Altered): boolean => Object.keys(declared.facts).length > 0;

/**
 * Tells of the rows that were altered and hinder nothing. What such a row said is gone with its end: who reads the alarm finds it in a backup, or nowhere. One
 * that was only found may have been sealed again since by an honest change.
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

/** For a plan: what sealing would find of the rows that it relies on, or takes something from. */
export async function examineDeclared(tx: Transaction, keys: KeyRing): Promise<void> {
  await tellAltered(tx, keys, (await alteredAmong(tx, keys)).altered);
}

/** An altered row from which something is taken away stays without a seal. One that somebody sealed again between is none: then it is tried again. */
function leftUnsealed(row: SealedRow, altered: readonly Altered[]): boolean {
  const one = altered.find((other) => rowKey(other.row) === rowKey(row));
  if (one === undefined || one.declared.isEnd === true || !isChanged(one)) return false;
  if (one.row.generation !== row.generation) throw new Undeclared(row, 'it is not of the generation that was declared', one.row);
  return true;
}

async function sealDeclared(tx: Transaction, keys: KeyRing, word: string, behalf: Behalf): Promise<void> {
  const declared = declarationsOf(tx);
  // What stood there before was what the warden had written: a change of one fact does not make the others good.
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

/** What was sealed just now is what everybody will take for good: otherwise it would be made, and refused whenever it is used. */
async function requireGood(tx: Transaction, keys: KeyRing, sealed: readonly Sealable[]): Promise<void> {
  const rows = await readRows(tx, sealed);
  // Of this transaction, and not on the record yet.
  const own = new Set(sealed.map(rowKey));
  const isGood = await judge(tx, keys, rows, [], { isOwn: (row) => own.has(rowKey(row)) });
  const bad = rows.find((row) => !isGood(row));
  if (bad !== undefined) throw new Undeclared(bad, 'nobody may make it so');
}

/**
 * Runs `work`, then seals what it declared and wrote, naming the change that allowed it, or its maker. A row that it wrote and did not
 * declare, fact for fact, was written by something inside the database: an alarm, and nothing of it happens. So is what `work` itself examined (a plan).
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

/** Whether the row that is committed is good, and newer than what was read of it: an honest change came first. */
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

/** The rows on which self-tests' rows of these stand, and those on which these stand: by `kind/id`, read now. */
async function readGrounds(tx: Transaction, rows: readonly SealedRow[]): Promise<ReadonlyMap<string, SealedRow>> {
  const grounds = new Map<string, SealedRow>();
  for (let above = rows.filter(isOwnRow); above.length > 0; ) {
    const names = above.flatMap((row) => groundOfOwn(row) ?? []).filter((name) => !grounds.has(rowKey(name)));
    above = [...(await readRows(tx, names))];
    for (const row of above) grounds.set(rowKey(row), row);
  }
  return grounds;
}

/** Whether a row is what the warden wrote last, by somebody who may: its seal, its generation, its maker or its change. */
async function judge(
  tx: Transaction,
  keys: KeyRing,
  rows: readonly SealedRow[],
  within: readonly string[],
  /** `mayBeOld`: old states that are good for once. `isOwn`: what this transaction sealed itself. */
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
  /** All of what it stands on is good, and a self-test's. */
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

/** What a verified row says. The type is the caller's word: the columns are those of seal-queries. */
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
  // Another look first: somebody may have sealed it again between this one and now, or since the record was looked at.
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

/** The first of these rows that is missing, unsealed, altered, of an earlier state, or made by nobody who may make it; undefined: all are good. */
export async function firstBroken(
  tx: Transaction,
  keys: KeyRing,
  names: readonly RowName[],
  /** Changes whose proof this is a part of: none may prove itself. */
  within: readonly string[] = [],
): Promise<RowName | undefined> {
  return (await look(tx, keys, names, within)).broken;
}

/** As `firstBroken`, with the rows as they were verified: whoever goes on with what a row says takes it from these, or compares it with them. */
export const verifiedRows = (tx: Transaction, keys: KeyRing, names: readonly RowName[], within: readonly string[] = []): Promise<Looked> =>
  look(tx, keys, names, within);

/** What a login relies on beside its window and its ticket: its account's and its customers' rows, which may be hundreds. */
export async function verifiedAhead(tx: Transaction, keys: KeyRing, account: string, credentials: readonly string[]): Promise<Looked> {
  return look(tx, keys, await rowsBehind(tx, account, credentials), []);
}

/** Whether these are still the rows behind it, none of them sealed again: what was verified is what the warden wrote last. */
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
 * What a login is about to rely on: read and verified in one, so that nothing is relied on that was read at another moment. `ahead`: what was verified
 * earlier in this transaction (`verifiedAhead`); it stands where nothing of it was sealed again, which one look at the seals tells.
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
    // A ticket is used once, and what it opens lasts: what another warden recorded a moment ago is not waited for.
    await generationsOf(keys).refresh(tx);
  }
  if (ahead === undefined || ahead.broken !== undefined || !(await isUnchanged(tx, keys, names, ahead.rows)))
    return look(tx, keys, [...names, ...more], []);
  const { broken, rows } = await look(tx, keys, more, []);
  return { broken, rows: new Map([...ahead.rows, ...rows]) };
}
