// Owns: the comparison of a database's catalogue with the one that the migrations make. The expectation is
// migrations/catalogue.txt, a line for each object.
// Must never: pass over an object that no migration made, or over one that is another than theirs.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CofferdamError } from '../domain/errors.ts';
import type { Transaction } from './database.ts';
import { type Described, describeCatalogue } from './described-catalogue.ts';

/** Definitions by the names of their objects. Objects of the months' tables are named with `YYYYMM`. */
type Catalogue = {
  readonly objects: ReadonlyMap<string, string>;
  /** What the table of each month brings, by month (`202611`). The expectation has one, under `YYYYMM`. */
  readonly months: ReadonlyMap<string, ReadonlyMap<string, string>>;
};

export const catalogueFile = 'catalogue.txt';
const ours = join(import.meta.dirname, '..', '..', 'migrations');
const anyMonth = 'YYYYMM';
/** A closed month, which gets no entry any more, has this trigger beside those of every month. */
const closing = `trigger public.ledger_sealed_${anyMonth}.ledger_month_is_closed`;
/** Extensions that bring nothing which our statements could mean. */
const harmless: ReadonlySet<string> = new Set(['extension plpgsql']);

const plain = (text: string): string => text.replace(/\s+/g, ' ').trim();
/**
 * The bodies of functions and views are long: their sums are compared. White space counts, as it may stand in a text.
 */
const summed = /^(function|view) /;
const sumOf = (text: string): string => `sha256 ${createHash('sha256').update(text).digest('hex')}`;

/**
 * Returns `text` with the name of the month's table, and the bounds that this month must have, in words. Bounds of
 * another month stay as they are.
 */
function ofAnyMonth(month: string, text: string): string {
  const year = Number(month.slice(0, 4));
  const index = Number(month.slice(4)) - 1;
  const instant = (months: number): string =>
    `'${new Date(Date.UTC(year, index + months)).toISOString().slice(0, 10)} 00:00:00+00'`;
  return text
    .replaceAll(`ledger_sealed_${month}`, `ledger_sealed_${anyMonth}`)
    .replaceAll(
      `FROM (${instant(0)}) TO (${instant(1)})`,
      'FROM (its first instant) TO (the first one of the next month)',
    );
}

function catalogueOf(described: readonly Described[]): Catalogue {
  const objects = new Map<string, string>();
  const months = new Map<string, Map<string, string>>();
  for (const { what, text } of described) {
    if (harmless.has(what)) continue;
    const definition = summed.test(what) ? sumOf(text) : plain(text);
    const month = /\bpublic\.ledger_sealed_(\d{6}|YYYYMM)(?![a-z0-9])/.exec(what)?.[1];
    if (month === undefined) objects.set(what, definition);
    else {
      const its = months.get(month) ?? new Map<string, string>();
      months.set(month, its.set(ofAnyMonth(month, what), ofAnyMonth(month, definition)));
    }
  }
  return { objects, months };
}

export const readCatalogue = async (query: Transaction['query']): Promise<Catalogue> =>
  catalogueOf(await describeCatalogue(query));

const separator = ' | ';

/**
 * The lines of a file, sorted, from a database that was just migrated. Throws when the tables of its months are not
 * alike.
 */
export function writtenCatalogue({ objects, months }: Catalogue): string {
  const lineOf = ([what, text]: readonly [string, string]): string => `${what}${separator}${text}`.trimEnd();
  const each = [...months.values()].map((its) => [...its].map(lineOf).sort());
  const [first = []] = each;
  if (each.some((lines) => lines.join('\n') !== first.join('\n')))
    throw new Error('the tables of the months differ from each other');
  return `${[...[...objects].map(lineOf), ...first].sort().join('\n')}\n`;
}

/** Returns what this version expects. Throws `configuration` when the file cannot be read. */
export function expectedCatalogue(directory: string = ours): Catalogue {
  let text: string;
  try {
    text = readFileSync(join(directory, catalogueFile), 'utf8');
  } catch (cause) {
    throw new CofferdamError('configuration', `migrations/${catalogueFile} cannot be read`, { cause });
  }
  const objects = new Map<string, string>();
  const month = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const at = line.indexOf(separator);
    const [what, definition] =
      at < 0 ? [line.replace(/ \|$/, ''), ''] : [line.slice(0, at), line.slice(at + separator.length)];
    (what.includes(`ledger_sealed_${anyMonth}`) ? month : objects).set(what, definition);
  }
  return { objects, months: new Map([[anyMonth, month]]) };
}

/** What has no definition but a value. */
const named = /^(owner|setting|object) /;

function differencesOf(expected: ReadonlyMap<string, string>, actual: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const [what, text] of expected) {
    const there = actual.get(what);
    if (there === undefined) found.push(`${what} is missing`);
    else if (there !== text)
      found.push(
        `${what} is another one${summed.test(what) ? '' : `: ${there || 'nothing'}, instead of: ${text || 'nothing'}`}`,
      );
  }
  for (const [what, text] of actual)
    if (expected.has(what)) continue;
    else if (named.test(what)) found.push(`${what} is ${text}`);
    else found.push(`${what} is unknown${text === '' || summed.test(what) ? '' : `: ${text}`}`);
  return found;
}

/** Returns what differs, in words, sorted. An empty list means that the catalogue is that of the migrations. */
export function compareCatalogues(expected: Catalogue, actual: Catalogue): readonly string[] {
  const found = differencesOf(expected.objects, actual.objects);
  const everyMonth = expected.months.get(anyMonth) ?? new Map<string, string>();
  for (const [month, its] of actual.months) {
    const open = new Map(its);
    if (its.get(closing) === closingText) open.delete(closing);
    for (const one of differencesOf(everyMonth, open)) found.push(one.replaceAll(anyMonth, month));
  }
  return found.sort();
}

const closingText = `CREATE TRIGGER ledger_month_is_closed BEFORE INSERT ON public.ledger_sealed_${anyMonth} FOR EACH ROW EXECUTE FUNCTION public.ledger_month_is_closed()`;

/** The differences of this database from what this version expects. */
export const catalogueDifferences = async (
  query: Transaction['query'],
  directory: string = ours,
): Promise<readonly string[]> => compareCatalogues(expectedCatalogue(directory), await readCatalogue(query));

const namedUsually = 5;
/** `found` in one sentence of a bounded length, which names the first ones. */
export const differencesInWords = (found: readonly string[], namedMax = namedUsually): string =>
  found
    .slice(0, namedMax)
    .map((one) => (one.length > 300 ? `${one.slice(0, 300)}…` : one))
    .join('; ') + (found.length > namedMax ? `; and ${found.length - namedMax} more` : '');
