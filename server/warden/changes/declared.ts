// Owns: what a transaction says that it writes, before anything is sealed: by row, with every fact, and what the row said before.
// Must never: let a row be sealed that differs in one fact from what was declared. Triggers run inside of our transactions; what they write nobody declared.
import { parseNetwork } from '../../domain/addresses.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { AccountId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { type EndingKind, factsOfEnd } from './provenance.ts';
import { type RowName, readRows, type SealedRow } from './seal-queries.ts';

/** Says of a value that only the database can know exactly (an instant by its clock, a network in its spelling) what it may be. */
export type Expected = { readonly isAllowed: (value: unknown) => boolean };
export type Facts = Readonly<Record<string, unknown>>;

/**
 * `before`: as the row stood when a change of it was declared; null: it was not there. `isEnd`: afterwards it opens nothing, so it does not matter what
 * it said before.
 */
export type Declared = RowName & {
  readonly before: SealedRow | null;
  readonly facts: Facts;
  readonly isEnd?: true;
  /** Whatever is done to it takes something away: it is done whatever the row says. */
  readonly narrows: boolean;
  /** It was found by a name that it does not have. */
  readonly isOther?: true;
};

const declarations = new WeakMap<Transaction, Map<string, Declared>>();
const keyOf = ({ kind, id }: RowName): string => `${kind}/${id}`;

function declaredIn(tx: Transaction): Map<string, Declared> {
  const known = declarations.get(tx) ?? new Map<string, Declared>();
  declarations.set(tx, known);
  return known;
}

/** A row that this transaction makes. Every fact of its kind is named: what is not named is not allowed. */
export function declareNew(tx: Transaction, name: RowName, facts: Facts): void {
  const known = declaredIn(tx);
  const { before, facts: earlier } = known.get(keyOf(name)) ?? { before: null, facts: {} };
  known.set(keyOf(name), { ...name, before, facts: { ...earlier, ...facts }, narrows: false });
}

/**
 * Rows that this transaction is about to change in these facts, and in no other; called before the statement. Rows that are not there are passed over.
 * `to-narrow`: the change takes something away. A row that somebody altered is then changed all the same, and gets no seal: it opens nothing, as before.
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
    // Once it is relied on, it must be good, whatever else is done to it.
    const narrows = declared?.narrows === true && purpose === 'to-narrow';
    if (declared !== undefined) known.set(keyOf(name), { ...declared, facts: { ...declared.facts, ...facts }, narrows });
  }
}

/** What is done to a row, by what would become wider: nothing of it, or it takes the row at its word. */
export const purposeOf = (wider: readonly string[]): WritePurpose => (wider.length === 0 ? 'to-narrow' : 'to-rely');

/**
 * Rows of this account that this transaction brings to an end; called before the statement, when they are locked. What stood there may have been altered: a
 * lost telephone is taken away whatever somebody made of its row. So the end of a kind (`provenance.ts`) and the account are all that the row may say
 * afterwards, exactly: no fact is taken over from what stood there, and none has a slack.
 */
export async function declareEnd(tx: Transaction, kind: EndingKind, ids: readonly string[], account: AccountId): Promise<void> {
  const names = ids.map((id) => ({ kind, id }));
  await declareChange(tx, names, { account_id: account, ...factsOfEnd(kind) });
  const known = declaredIn(tx);
  for (const name of names) {
    const declared = known.get(keyOf(name));
    if (declared !== undefined) known.set(keyOf(name), { ...declared, facts: { account_id: account, ...factsOfEnd(kind) }, isEnd: true });
  }
}

/**
 * A row that this transaction copies from, or decides by, and does not change: it must be what the warden wrote, as one that is changed must be. `facts`:
 * what was believed of it when it was found, by a name for instance; a row may be swapped between two looks.
 */
export async function declareRelied(tx: Transaction, name: RowName, facts: Facts = {}): Promise<void> {
  await declareChange(tx, [name], {});
  const declared = declaredIn(tx).get(keyOf(name));
  if (declared === undefined) throw new CofferdamError('denied', `the ${name.kind} is not there any more: nothing was done`);
  if (isAnother(declared, facts))
    throw new CofferdamError('denied', `the ${name.kind} is not the one of this name any more: nothing was done`);
}

/** What a row says that was declared; what is decided by it is decided by this, which is what is verified. */
const saidBy = ({ before, facts }: Declared): Facts => (before === null ? facts : (JSON.parse(before.facts) as Facts));

const isAnother = (declared: Declared, facts: Facts): boolean => {
  const said = saidBy(declared);
  return Object.entries(facts).some(([fact, value]) => !fits(said[fact] ?? null, value));
};

/** A row of which something is taken away, if it is there. It may be another one than was believed, or altered: that is told, and hinders nothing. */
async function declareNarrowed(tx: Transaction, name: RowName, facts: Facts): Promise<void> {
  const isKnown = declaredIn(tx).has(keyOf(name));
  if (!isKnown) await declareChange(tx, [name], {}, 'to-narrow');
  const declared = declaredIn(tx).get(keyOf(name));
  if (declared?.narrows === true && isAnother(declared, facts)) declaredIn(tx).set(keyOf(name), { ...declared, isOther: true });
}

/**
 * What a row is looked up for by a name. To rely on it: something is made or widened, and the row must be what the warden wrote. To narrow: something is taken
 * away, which nobody hinders by altering the row. To tell: it is said and recorded, and decides nothing.
 */
export type Purpose = 'to-rely' | 'to-narrow' | 'to-tell';
export type WritePurpose = Exclude<Purpose, 'to-tell'>;

/**
 * Of each row of a sealed kind that was found by a name, with what is believed of it and never changes. What the row says besides is answered as it will be
 * verified: what found it is another statement, and decides nothing. Undefined: nothing is decided by it, or it is not there any more.
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

/** An instant among facts, which are in microseconds. */
export const instantOf = (micros: number | null): Date | null => (micros === null ? null : new Date(micros / 1000));

/** Something becomes wider: whatever was found up to now is relied on, also what was found to take something away. */
export function relyOnFound(tx: Transaction): void {
  const known = declaredIn(tx);
  for (const [key, declared] of known) known.set(key, { ...declared, narrows: false });
}

/** What was found is not what the warden wrote: from here on it counts as altered, whatever a later look makes of it. */
export function holdForAltered(tx: Transaction, name: RowName): void {
  const declared = declaredIn(tx).get(keyOf(name));
  if (declared !== undefined) declaredIn(tx).set(keyOf(name), { ...declared, isOther: true });
}

export const declarationsOf = (tx: Transaction): ReadonlyMap<string, Declared> => declaredIn(tx);

/** What is declared from here on can be taken back, with the work itself. */
export function declarationMark(tx: Transaction): () => void {
  const before = new Map(declaredIn(tx));
  return () => void declarations.set(tx, before);
}

/** The first fact in which the row is not what was declared; undefined: it is that, and nothing else. */
export function deviation(row: SealedRow, declared: Declared): string | undefined {
  const actual = JSON.parse(row.facts) as Facts;
  const before = declared.before === null || declared.isEnd === true ? {} : (JSON.parse(declared.before.facts) as Facts);
  const expected: Facts = { ...before, ...declared.facts };
  const names = new Set([...Object.keys(actual), ...Object.keys(expected)]);
  return [...names].find((name) => !Object.hasOwn(expected, name) || !fits(actual[name] ?? null, expected[name]));
}

function fits(value: unknown, expected: unknown): boolean {
  if (typeof expected === 'object' && expected !== null && 'isAllowed' in expected) return (expected as Expected).isAllowed(value);
  return JSON.stringify(value) === JSON.stringify(expected ?? null);
}

/** Clocks of two machines, and a transaction that waits for its locks. */
const slackMs = 10 * 60_000;

/** An instant so far from now, in the microseconds of facts. */
export function fromNow(ms: number): Expected {
  const expected = Date.now() + ms;
  return { isAllowed: (value) => typeof value === 'number' && Math.abs(value / 1000 - expected) <= slackMs };
}

const spelled = (text: unknown): string => {
  const network = typeof text === 'string' ? parseNetwork(text) : undefined;
  return network === undefined ? 'unknown' : `${network.bytes.join('.')}/${network.bits}`;
};

/** The same networks in the same order, however they are spelled. */
export const networksAs = (wanted: readonly string[]): Expected => ({
  isAllowed: (value) =>
    Array.isArray(value) &&
    value.length === wanted.length &&
    wanted.every((one, i) => spelled(one) === spelled(value[i]) && spelled(one) !== 'unknown'),
});

/** A time of the day, with or without seconds. */
export const timeAs = (wanted: string): Expected => ({
  isAllowed: (value) => typeof value === 'string' && value.padEnd(8, ':00') === wanted.padEnd(8, ':00'),
});
