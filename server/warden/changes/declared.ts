// Owns: what a transaction says that it writes, before anything is sealed: by row, with every fact, and what the row said before.
// Must never: let a row be sealed that differs in one fact from what was declared. Triggers run inside of our transactions; what they write nobody declared.
import { parseNetwork } from '../../domain/addresses.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import { type RowName, readRows, type SealedRow } from './seal-queries.ts';

/** Says of a value that only the database can know exactly (an instant by its clock, a network in its spelling) what it may be. */
export type Expected = { readonly isAllowed: (value: unknown) => boolean };
export type Facts = Readonly<Record<string, unknown>>;

/** `before`: as the row stood when a change of it was declared; null: it was not there. */
export type Declared = RowName & { readonly before: SealedRow | null; readonly facts: Facts };

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
  known.set(keyOf(name), { ...name, before, facts: { ...earlier, ...facts } });
}

/** Rows that this transaction is about to change in these facts, and in no other; called before the statement. Rows that are not there are passed over. */
export async function declareChange(tx: Transaction, names: readonly RowName[], facts: Facts): Promise<void> {
  const known = declaredIn(tx);
  const fresh = names.filter((name) => !known.has(keyOf(name)));
  for (const before of await readRows(tx, fresh)) known.set(keyOf(before), { kind: before.kind, id: before.id, before, facts: {} });
  for (const name of names) {
    const declared = known.get(keyOf(name));
    if (declared !== undefined) known.set(keyOf(name), { ...declared, facts: { ...declared.facts, ...facts } });
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
  const actual = declared.before === null ? declared.facts : (JSON.parse(declared.before.facts) as Facts);
  if (Object.entries(facts).some(([fact, value]) => !fits(actual[fact] ?? null, value)))
    throw new CofferdamError('denied', `the ${name.kind} is not the one of this name any more: nothing was done`);
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
  const before = declared.before === null ? {} : (JSON.parse(declared.before.facts) as Facts);
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
