// Owns: the declarations of a transaction: which rows it writes, with every fact, and what each row said before
// (decision 0023).
// Must never: let a row be sealed that differs in a single fact from its declaration. Triggers run inside our
// transactions, and what they write was not declared.
import { parseNetwork } from '../../domain/addresses.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { AccountId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { type EndingKind, factsOfEnd } from './provenance.ts';
import { type RowName, readRows, type SealedRow } from './seal-queries.ts';

/**
 * A condition for a value that only the database knows exactly, such as an instant by its clock or its spelling of a
 * network.
 */
type Expected = { readonly isAllowed: (value: unknown) => boolean };
type Facts = Readonly<Record<string, unknown>>;

/**
 * The declaration of one row. `before` is the row as it stood when its change was declared, or null when it did not
 * exist. `isEnd` means that the row opens nothing afterwards, so what it said before does not matter.
 */
export type Declared = RowName & {
  readonly before: SealedRow | null;
  readonly facts: Facts;
  readonly isEnd?: true;
  /**
   * Whether every declaration about this row only takes something away. Such a change is made whatever the row says.
   */
  readonly narrows: boolean;
  /** Whether the row was found under a name that it does not have, or counts as altered for another reason. */
  readonly isOther?: true;
};

const declarations = new WeakMap<Transaction, Map<string, Declared>>();
const keyOf = ({ kind, id }: RowName): string => `${kind}/${id}`;

function declaredIn(tx: Transaction): Map<string, Declared> {
  const known = declarations.get(tx) ?? new Map<string, Declared>();
  declarations.set(tx, known);
  return known;
}

/**
 * Declares a row that this transaction inserts. All facts of its kind must be given; a fact that is not given is not
 * allowed.
 */
export function declareNew(tx: Transaction, name: RowName, facts: Facts): void {
  const known = declaredIn(tx);
  const { before, facts: earlier } = known.get(keyOf(name)) ?? { before: null, facts: {} };
  known.set(keyOf(name), { ...name, before, facts: { ...earlier, ...facts }, narrows: false });
}

/**
 * Declares that this transaction is about to change these facts of these rows, and no others. Call it before the
 * statement. Rows that do not exist are ignored. `to-narrow` means that the change takes something away: a row that
 * somebody altered is then changed all the same and gets no seal, so it still opens nothing.
 */
export async function declareChange(
  tx: Transaction,
  names: readonly RowName[],
  facts: Facts,
  purpose: WritePurpose = 'to-rely',
): Promise<void> {
  const known = declaredIn(tx);
  const fresh = names.filter((name) => !known.has(keyOf(name)));
  for (const before of await readRows(tx, fresh))
    known.set(keyOf(before), { kind: before.kind, id: before.id, before, facts: {}, narrows: true });
  for (const name of names) {
    const declared = known.get(keyOf(name));
    // A row that was relied on once must be good, whatever else is done to it.
    const narrows = declared?.narrows === true && purpose === 'to-narrow';
    if (declared !== undefined)
      known.set(keyOf(name), { ...declared, facts: { ...declared.facts, ...facts }, narrows });
  }
}

/**
 * Returns the purpose of a write, given what it makes wider: when that is nothing, the write only narrows; otherwise it
 * relies on what the row says.
 */
export const purposeOf = (wider: readonly string[]): WritePurpose => (wider.length === 0 ? 'to-narrow' : 'to-rely');

/**
 * Declares that this transaction brings these rows of an account to their end. Call it before the statement, when the
 * rows are locked. The rows may have been altered before: the second factor on a lost phone must be removed whatever
 * somebody made of its row. Therefore the row may afterwards say only the account and the end facts of its kind
 * (`provenance.ts`), exactly: no fact is taken over from the former row, and no tolerance is allowed.
 */
export async function declareEnd(
  tx: Transaction,
  kind: EndingKind,
  ids: readonly string[],
  account: AccountId,
): Promise<void> {
  const names = ids.map((id) => ({ kind, id }));
  await declareChange(tx, names, { account_id: account, ...factsOfEnd(kind) });
  const known = declaredIn(tx);
  for (const name of names) {
    const declared = known.get(keyOf(name));
    if (declared !== undefined)
      known.set(keyOf(name), { ...declared, facts: { account_id: account, ...factsOfEnd(kind) }, isEnd: true });
  }
}

/**
 * Declares that this transaction copies from a row, or decides by it, without changing it. The row must be what the
 * warden wrote, like one that is changed. `facts` are what the caller assumed when it found the row, for instance its
 * name, because the row may be swapped between two queries. Throws `denied` when the row is gone or does not match.
 */
export async function declareRelied(tx: Transaction, name: RowName, facts: Facts = {}): Promise<void> {
  await declareChange(tx, [name], {});
  const declared = declaredIn(tx).get(keyOf(name));
  if (declared === undefined)
    throw new CofferdamError('denied', `the ${name.kind} is not there any more: nothing was done`);
  if (isAnother(declared, facts))
    throw new CofferdamError('denied', `the ${name.kind} is not the one of this name any more: nothing was done`);
}

/** Returns the facts of a declared row. Decisions use these facts, because these are the ones that are verified. */
const saidBy = ({ before, facts }: Declared): Facts => (before === null ? facts : (JSON.parse(before.facts) as Facts));

const isAnother = (declared: Declared, facts: Facts): boolean => {
  const said = saidBy(declared);
  return Object.entries(facts).some(([fact, value]) => !fits(said[fact] ?? null, value));
};

/**
 * Declares that something is taken away from a row, if it exists. The row may not be the one that was assumed, or may
 * have been altered; that is reported and does not prevent the change.
 */
async function declareNarrowed(tx: Transaction, name: RowName, facts: Facts): Promise<void> {
  const isKnown = declaredIn(tx).has(keyOf(name));
  if (!isKnown) await declareChange(tx, [name], {}, 'to-narrow');
  const declared = declaredIn(tx).get(keyOf(name));
  if (declared?.narrows === true && isAnother(declared, facts))
    declaredIn(tx).set(keyOf(name), { ...declared, isOther: true });
}

/**
 * Why a row is looked up by a name. `to-rely`: something is made or widened, so the row must be what the warden wrote.
 * `to-narrow`: something is taken away, which must succeed even when somebody altered the row. `to-tell`: the row is
 * shown or recorded, and decides nothing.
 */
export type Purpose = 'to-rely' | 'to-narrow' | 'to-tell';
export type WritePurpose = Exclude<Purpose, 'to-tell'>;

/**
 * Declares a row of a sealed kind that was found by a name. `facts` are what the caller assumes about it and what never
 * changes. Returns the facts of the row as they will be verified: the statement that found the row is a different one,
 * and decides nothing. Returns undefined for `to-tell`, and for a row that does not exist any more.
 */
export async function declareFound<Said extends Facts>(
  tx: Transaction,
  purpose: Purpose,
  name: RowName,
  facts: Facts,
): Promise<Said | undefined> {
  if (purpose === 'to-rely') await declareRelied(tx, name, facts);
  if (purpose === 'to-narrow') await declareNarrowed(tx, name, facts);
  const declared = purpose === 'to-tell' ? undefined : declaredIn(tx).get(keyOf(name));
  return declared && (saidBy(declared) as Said);
}

/** Returns the instant that a fact states in microseconds since 1970. */
export const instantOf = (micros: number | null): Date | null => (micros === null ? null : new Date(micros / 1000));

/**
 * Declares that something becomes wider: from now on every row found so far is relied on, including those that were
 * found to take something away.
 */
export function relyOnFound(tx: Transaction): void {
  const known = declaredIn(tx);
  for (const [key, declared] of known) known.set(key, { ...declared, narrows: false });
}

/** Marks a row as altered, because it is not what the warden wrote. It keeps this mark whatever a later query finds. */
export function holdForAltered(tx: Transaction, name: RowName): void {
  const declared = declaredIn(tx).get(keyOf(name));
  if (declared !== undefined) declaredIn(tx).set(keyOf(name), { ...declared, isOther: true });
}

/** Returns what this transaction has declared so far, by `kind/id`. */
export const declarationsOf = (tx: Transaction): ReadonlyMap<string, Declared> => declaredIn(tx);

/** Returns a function that takes back every declaration made after this call. It is used together with a savepoint. */
export function declarationMark(tx: Transaction): () => void {
  const before = new Map(declaredIn(tx));
  return () => void declarations.set(tx, before);
}

/**
 * Returns the name of the first fact in which a row differs from its declaration, or undefined when it matches in all
 * of them.
 */
export function deviation(row: SealedRow, declared: Declared): string | undefined {
  const actual = JSON.parse(row.facts) as Facts;
  const before =
    declared.before === null || declared.isEnd === true ? {} : (JSON.parse(declared.before.facts) as Facts);
  const expected: Facts = { ...before, ...declared.facts };
  const names = new Set([...Object.keys(actual), ...Object.keys(expected)]);
  return [...names].find((name) => !Object.hasOwn(expected, name) || !fits(actual[name] ?? null, expected[name]));
}

function fits(value: unknown, expected: unknown): boolean {
  if (typeof expected === 'object' && expected !== null && 'isAllowed' in expected)
    return (expected as Expected).isAllowed(value);
  return JSON.stringify(value) === JSON.stringify(expected ?? null);
}

/** The tolerance for instants: clocks of two machines differ, and a transaction may wait for its locks. */
const slackMs = 10 * 60_000;

/** Returns the condition for an instant that lies `ms` from now, in the microseconds of facts, within `slackMs`. */
export function fromNow(ms: number): Expected {
  const expected = Date.now() + ms;
  return { isAllowed: (value) => typeof value === 'number' && Math.abs(value / 1000 - expected) <= slackMs };
}

const spelled = (text: unknown): string => {
  const network = typeof text === 'string' ? parseNetwork(text) : undefined;
  return network === undefined ? 'unknown' : `${network.bytes.join('.')}/${network.bits}`;
};

/** Returns the condition for the same networks in the same order, in any spelling. */
export const networksAs = (wanted: readonly string[]): Expected => ({
  isAllowed: (value) =>
    Array.isArray(value) &&
    value.length === wanted.length &&
    wanted.every((one, i) => spelled(one) === spelled(value[i]) && spelled(one) !== 'unknown'),
});

/** Returns the condition for a time of day, with or without seconds. */
export const timeAs = (wanted: string): Expected => ({
  isAllowed: (value) => typeof value === 'string' && value.padEnd(8, ':00') === wanted.padEnd(8, ':00'),
});
