// Owns: which locks a statement takes, read from its text and from the texts of the functions and triggers of the
// database (`migrations/functions`).
// Must never: claim an advisory lock. Whether a trigger takes one depends on the row, so `pg_locks` is asked
// afterwards;
// this file only says which statements may take one.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A lock that a statement takes. `waits` is false when the statement passes over rows that somebody else has locked, or
 * fails at once.
 */
type StatedLock = { readonly on: string; readonly waits: boolean };
/** `mayBeAdvisory`: whether the statement may take an advisory lock, itself or through a function or a trigger. */
type StatedLocks = { readonly locks: readonly StatedLock[]; readonly mayBeAdvisory: boolean };

const rowLock =
  /\bfor\s+(no\s+key\s+update|update|key\s+share|share)\b(?:\s+of\s+(\w+))?(\s+(?:skip\s+locked|nowait))?/gi;
const tableLock = /\block\s+table\s+(?:only\s+)?(%I|\w+)\s+in\s+[\w\s]+?\s+mode(\s+nowait)?/gi;
const advisory = /\bpg_(?:try_)?advisory\w*lock\w*\s*\(/i;

/** The bodies of the functions of the database, by name, without comments. */
export function storedFunctions(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const text of storedTexts())
    for (const [, name = '', body = ''] of text.matchAll(
      /create or replace function (\w+)\([^;]*?\$\$([\s\S]*?)\$\$/gi,
    ))
      found.set(name, body.replace(/--.*$/gm, ''));
  return found;
}

function storedTexts(): readonly string[] {
  const directory = join(import.meta.dirname, '..', '..', 'migrations', 'functions');
  return readdirSync(directory).map((file) => readFileSync(join(directory, file), 'utf8'));
}

/** The names of the functions that run when a table is written, by `insert version`, `update version` and so on. */
function storedTriggers(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const text of storedTexts())
    for (const [, events = '', table = '', name = ''] of text.matchAll(
      /create or replace trigger \w+ (?:before|after) ([\s\S]*?) on (\w+)\b[^;]*?execute function (\w+)\(/gi,
    ))
      for (const [event = ''] of events.matchAll(/\b(?:insert|update|delete)\b/gi)) {
        const key = `${event.toLowerCase()} ${table}`;
        found.set(key, [...(found.get(key) ?? []), name]);
      }
  return found;
}

/**
 * The part of a text before `index` that is in the same parentheses and in the same statement; what is in inner
 * parentheses is left out.
 */
function sameLevelBefore(text: string, index: number): string {
  let depth = 0;
  const kept: string[] = [];
  for (let i = index - 1; i >= 0; i -= 1) {
    const at = text[i] ?? '';
    if (at === ')') depth += 1;
    else if (at === '(' && depth === 0) break;
    else if (at === '(') depth -= 1;
    else if (at === ';' && depth === 0) break;
    else if (depth === 0) kept.push(at);
  }
  return kept.reverse().join('');
}

/** The tables that the last `from` before a lock names, by alias. */
function lockedTables(text: string, index: number): ReadonlyMap<string, string> {
  const last = sameLevelBefore(text, index)
    .split(/\bfrom\b/i)
    .at(-1);
  const list = (last ?? '').split(/\b(?:where|order\s+by|limit)\b/i)[0] ?? '';
  const named = list.split(/,|\b(?:left\s+)?join\b/i).map((one) => one.trim().split(/\s+(?:as\s+)?/i));
  return new Map(named.flatMap(([table = '', alias]) => (/^\w+$/.test(table) ? [[alias ?? table, table]] : [])));
}

type Found = StatedLock & { readonly index: number };

function ownLocks(text: string): readonly Found[] {
  const rows = [...text.matchAll(rowLock)].flatMap((match) => {
    const named = lockedTables(text, match.index);
    const [, strength = '', alias, passing] = match;
    const tables = alias === undefined ? [...named.values()] : [named.get(alias) ?? alias];
    const weakest = /^key\s+share$/i.test(strength) ? ' for key share' : '';
    return tables.map((table) => ({ on: `${table}${weakest}`, waits: passing === undefined, index: match.index }));
  });
  const tables = [...text.matchAll(tableLock)].map(({ 1: name, 2: noWait, index }) => ({
    on: name === '%I' ? 'table of a month' : `table ${name}`,
    waits: noWait === undefined,
    index,
  }));
  return [...rows, ...tables];
}

export type LockReader = (statement: string) => StatedLocks;

/** Reads statements, each text once. */
export function lockReader(): LockReader {
  const functions = storedFunctions();
  const triggers = storedTriggers();
  const known = new Map<string, StatedLocks>();

  function read(text: string, within: readonly string[]): StatedLocks {
    const calls = [...text.matchAll(/\b(\w+)\s*\(/g)].flatMap(({ 1: name = '', index }) => {
      const body = within.includes(name) ? undefined : functions.get(name);
      return body === undefined ? [] : [{ index, ...read(body, [...within, name]) }];
    });
    const fired = [...text.matchAll(/\b(insert into|update|delete from)\s+(?:only\s+)?(\w+)/gi)].flatMap(
      ({ 1: verb = '', 2: table = '' }) => triggers.get(`${verb.split(' ')[0]?.toLowerCase()} ${table}`) ?? [],
    );
    const firing = fired
      .filter((name) => !within.includes(name))
      .map((name) => read(functions.get(name) ?? '', [...within, name]));
    return {
      locks: [...ownLocks(text).map(({ index, on, waits }) => ({ index, locks: [{ on, waits }] })), ...calls]
        .sort((a, b) => a.index - b.index)
        .flatMap((one) => one.locks),
      mayBeAdvisory:
        advisory.test(text) || calls.some((one) => one.mayBeAdvisory) || firing.some((one) => one.mayBeAdvisory),
    };
  }

  return (statement) => {
    const before = known.get(statement);
    if (before !== undefined) return before;
    const found = read(statement, []);
    known.set(statement, found);
    return found;
  };
}
