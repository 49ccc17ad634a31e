// Owns: the seals of rows that decide what a session may do: made in the transaction that wrote the row, verified whenever it is used.
// Must never: seal a row that its writer did not declare, or take a row whose seal, maker or change does not verify.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Proposal } from '../../rpc/change-document.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { KeyRing, Warden } from '../context.ts';
import { record } from '../ledger/ledger-queries.ts';
import { type Declared, declarationsOf, deviation } from './declared.ts';
import { type Generations, generationsOf } from './generations.ts';
import { genuineAmong } from './genuine.ts';
import { fitsChange, isAccess, type Maker, mayBeMadeBy } from './provenance.ts';
import {
  pageOfSeals,
  type RowName,
  readRows,
  rowsBehind,
  rowsWrittenUnder,
  type SealedRow,
  type SealKind,
  setWord,
  unsealedRows,
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
export async function sealRows(tx: Transaction, keys: KeyRing, rows: readonly Sealable[]): Promise<void> {
  if (rows.length === 0) return;
  await writeSeals(
    tx,
    rows.map((row) => ({ ...row, mac: keys.sealRow(partOf(row)) })),
    keys.rowSealId,
  );
}

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

/** One more than it ever was. A row that is made was never sealed; one that is changed is of the generation that was read and verified. */
function nextGeneration(row: SealedRow, before: SealedRow | null, known: Generations): number {
  const last = before?.generation ?? 0;
  if (row.generation !== last || known.newest(row) > last || !Number.isSafeInteger(last + 1))
    throw new Undeclared(row, 'it is not of the generation that was declared', before);
  return last + 1;
}

function sealable(row: SealedRow, declared: Declared | undefined, { maker, change }: Behalf, known: Generations): Sealable {
  if (declared === undefined) throw new Undeclared(row, 'it was not declared');
  const { before } = declared;
  const odd = deviation(row, declared);
  if (odd !== undefined) throw new Undeclared(row, `${odd} is not what was declared`, before);
  const generation = nextGeneration(row, before, known);
  const by = change();
  if (before === null && by === null && !mayBeMadeBy(row.kind, maker)) throw new Undeclared(row, 'this takes two operators');
  return {
    kind: row.kind,
    id: row.id,
    facts: row.facts,
    change: named(row.kind, before?.change ?? null, by),
    maker: before === null ? (by === null ? maker : null) : before.maker,
    generation,
  };
}

async function sealDeclared(tx: Transaction, keys: KeyRing, word: string, behalf: Behalf): Promise<void> {
  const declared = declarationsOf(tx);
  // What stood there before was what the warden had written: a change of one fact does not make the others good.
  const before = [...declared.values()].flatMap((one) => one.before ?? []);
  // Another warden may have sealed them since: what it recorded is newer than what is known here.
  const known = generationsOf(keys);
  await known.refresh(tx);
  const verdict = await judge(tx, keys, before, []);
  const broken = before.find((row) => !verdict(row));
  if (broken !== undefined) throw new Undeclared(broken, 'it was altered before', broken);
  const touched = await rowsWrittenUnder(tx, word);
  const rows = (await readRows(tx, touched)).map((row) => sealable(row, declared.get(rowKey(row)), behalf, known));
  await sealRows(tx, keys, rows);
  const again = rows.filter((row) => row.generation > 1);
  if (again.length > 0)
    await record(tx, {
      kind: 'rows.resealed',
      observer: 'warden',
      sensitive: { rows: again.map((row) => [row.kind, row.id, row.generation]) },
    });
}

/**
 * Runs `work`, then seals what it declared and wrote, naming the change that allowed it, or its maker. A row that it wrote and did not
 * declare, fact for fact, was written by something inside the database: an alarm, and nothing of it happens.
 */
export async function sealing<T>(
  tx: Transaction,
  warden: Pick<Warden, 'keys' | 'database'>,
  behalf: Behalf,
  work: () => Promise<T>,
): Promise<T> {
  const word = randomBytes(18).toString('base64url');
  await setWord(tx, word);
  const result = await work();
  try {
    await sealDeclared(tx, warden.keys, word, behalf);
  } catch (error) {
    if (!(error instanceof Undeclared)) throw error;
    const { row, before } = error;
    const isLate = await warden.database.withSystem(async (other) => {
      if (before !== null && (await isNewer(other, warden.keys, before))) return true;
      await alarmBroken(other, row, `${error.message} (a trigger, or a row altered before)`);
      return false;
    });
    if (isLate)
      throw new CofferdamError('conflict', `the ${row.kind} was changed by somebody else at the same moment: nothing was done, try again`);
    throw error;
  }
  return result;
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

/** Whether a row is what the warden wrote last, by somebody who may: its seal, its generation, its maker or its change. */
async function judge(
  tx: Transaction,
  keys: KeyRing,
  rows: readonly SealedRow[],
  within: readonly string[],
): Promise<(row: SealedRow) => boolean> {
  const changes = new Set(rows.flatMap((row) => row.change ?? []));
  const good = await genuineAmong(tx, keys, [...changes], within);
  const known = generationsOf(keys);
  return (row) => isSealGood(keys, row) && !known.isOld(row) && isMadeWell(row, good);
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
  // Another look first: somebody may have sealed it again between this one and now.
  if (!isAgain && [...rows.values()].some((row) => generations.isOld(row))) return look(tx, keys, names, within, true);
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

/** Every row that must carry a seal, whether it does or not; what is broken. */
export async function* brokenSeals(warden: Pick<Warden, 'database' | 'keys'>): AsyncGenerator<RowName> {
  await warden.database.withSystem((tx) => generationsOf(warden.keys).refresh(tx));
  yield* await warden.database.withSystem((tx) => unsealedRows(tx, pageRows));
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
