// Owns: the functions and triggers that the migrations create, as a set that can be compared with those of a database.
// The files are the only statement of what is expected.
// Must never: skip a function or trigger that no migration created.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Transaction } from './database.ts';

/**
 * The stored code of a database or of the migrations. `functions` maps a name to attributes and bodies, of which an
 * overloaded name has several. `triggers` maps `table.name` to when the trigger calls which function. `foreign` is what
 * no migration creates.
 */
export type StoredCode = {
  readonly functions: ReadonlyMap<string, readonly string[]>;
  readonly triggers: ReadonlyMap<string, string>;
  /** Rewrite rules other than those of views, and event triggers. The migrations create none. */
  readonly foreign: readonly string[];
};

const ours = join(import.meta.dirname, '..', '..', 'migrations');
const statements =
  /create (?:or replace )?function (?<made>[a-z_0-9]+)\s*\((?<args>[^;]*?)\)\s*returns(?<head>(?:(?!\bcreate\b)[\s\S])*?)(?:\bas \$\$(?<body>[\s\S]*?)\$\$|\n\s*return\b[^;]*;)|drop table (?:if exists )?(?<lost>[a-z_0-9]+)|drop function (?:if exists )?(?<dropped>[a-z_0-9]+)\s*\((?<droppedArgs>[^)]*)\)|create (?:or replace )?(?:constraint )?trigger (?<trigger>[a-z_0-9]+) (?<when>before|after)(?<events>[\s\S]*?) on (?<table>[a-z_0-9]+)(?<rest>[\s\S]*?)execute function (?<calls>[a-z_0-9]+)\s*\((?<given>[^)]*)\)|drop trigger (?:if exists )?(?<gone>[a-z_0-9]+) on (?<from>[a-z_0-9]+)/g;
/** Matches one statement that creates triggers for several tables. */
const loops = /foreach \w+ in array array\[([^\]]*)\] loop((?:(?!end loop)[\s\S])*?create trigger[\s\S]*?)end loop/g;
const plain = (text: string): string => text.replace(/\s+/g, ' ').trim();
/** Returns the number of arguments, by which the migrations tell functions with the same name apart. */
const arityOf = (args: string): number => (args.trim() === '' ? 0 : args.split(',').length);

/**
 * Returns a function in one spelling: its language, its volatility, with whose rights and which settings it runs, and its
 * body. The catalogue stores a body in standard SQL (`return …`) as a tree and not as text. Such a body is empty here, so
 * only the name and the attributes of the function are compared.
 */
const spelledFunction = (attributes: readonly string[], settings: readonly string[], body: string): string =>
  [...attributes, ...[...settings].sort(), plain(body)].join(' | ');

function spelledHead(head: string, body: string): string {
  const has = (word: RegExp): string => word.exec(head)?.[1] ?? '';
  const settings = [...head.matchAll(/\bset ([a-z_.]+) = ((?:'[^']*'|[a-z_0-9]+)(?:, *[a-z_0-9]+)*)/g)];
  return spelledFunction(
    [has(/\blanguage (\w+)/), has(/\b(immutable|stable)\b/) || 'volatile', has(/\b(security definer)\b/), has(/\b(strict)\b/)],
    settings.map(([, name, value]) => `${name}=${value?.replaceAll("'", '')}`),
    body,
  );
}

export function parseStoredCode(texts: readonly string[]): StoredCode {
  const made = new Map<string, string>();
  const triggers = new Map<string, string>();
  const unrolled = (text: string): string =>
    text.replace(loops, (_whole, tables: string, body: string) =>
      tables
        .split(',')
        .map((table) => body.replaceAll('%I', table.trim().replaceAll("'", '')))
        .join('\n'),
    );
  for (const text of texts)
    for (const { groups: found = {} } of unrolled(text.replace(/^\s*--.*$/gm, '')).matchAll(statements)) {
      const { args = '', head = '', body = '', lost, dropped, droppedArgs = '', trigger, when, events = '', table, rest = '' } = found;
      if (found.made !== undefined) made.set(`${found.made}/${arityOf(args)}`, spelledHead(head.toLowerCase(), body));
      else if (lost !== undefined) {
        for (const key of triggers.keys()) if (key.startsWith(`${lost}.`)) triggers.delete(key);
      } else if (dropped !== undefined) made.delete(`${dropped}/${arityOf(droppedArgs)}`);
      else if (trigger !== undefined)
        triggers.set(`${table}.${trigger}`, plain(`${when} ${eventsOf(events)} ${restOf(rest)} ${found.calls}(${found.given})`));
      else if (found.gone !== undefined) triggers.delete(`${found.from}.${found.gone}`);
    }
  const functions = new Map<string, string[]>();
  for (const [key, spelled] of made) {
    const name = key.split('/')[0] ?? '';
    functions.set(name, [...(functions.get(name) ?? []), spelled]);
  }
  return { functions, triggers, foreign: [] };
}

/**
 * Returns whether a trigger runs for each row or each statement, and under which condition, in one spelling for the
 * migrations and the server. The server writes parentheses, types and lists in its own way.
 */
function restOf(text: string): string {
  const rows = /\(([^()]*)\)\s*is distinct from\s*\(([^()]*)\)/gi;
  const each = text.replace(rows, (_whole, left: string, right: string) => {
    const others = right.split(',');
    return left
      .split(',')
      .map((one, i) => `${one.trim()} is distinct from ${others[i]?.trim()}`)
      .join(' or ');
  });
  const same = each
    .toLowerCase()
    .replace(/not deferrable initially immediate/, '')
    .replace(/::[a-z]+/g, '')
    .replace(/[()]/g, ' ')
    .replace(/<> all\s+array\[([^\]]*)\]/g, 'not in $1')
    .replace(/= any\s+array\[([^\]]*)\]/g, 'in $1');
  return plain(same.includes('for each') ? same : `for each statement ${same}`).replaceAll(' ,', ',');
}

/** Returns `insert or update of a, b` in one spelling, whatever the order. */
function eventsOf(text: string): string {
  const [events = '', columns = ''] = plain(text).split(/ of /);
  const sorted = (list: string, by: RegExp): string =>
    list
      .split(by)
      .map(plain)
      .filter((one) => one !== '')
      .sort()
      .join(' ');
  return plain(`${sorted(events.toLowerCase(), / or /)} ${sorted(columns, /,| or /)}`);
}

export const readStoredCode = (directory: string = ours): StoredCode =>
  parseStoredCode(
    readdirSync(directory)
      .filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name))
      .sort()
      .map((name) => readFileSync(join(directory, name), 'utf8')),
  );

const systemSchemas = "('pg_catalog', 'information_schema')";

/** Returns the stored code of the database. Functions of extensions, and triggers of partitions, which follow their table, are left out. */
export async function storedCode(query: Transaction['query']): Promise<StoredCode> {
  const found = await query<{ name: string; attributes: string[]; settings: string[] | null; body: string }>(
    `select case n.nspname when 'public' then '' else n.nspname || '.' end || p.proname as name, p.prosrc as body, p.proconfig as settings,
       array[l.lanname::text, case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
         case when p.prosecdef then 'security definer' else '' end, case when p.proisstrict then 'strict' else '' end] as attributes
     from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace join pg_catalog.pg_language l on l.oid = p.prolang
     where n.nspname not in ${systemSchemas}
       and not exists (select 1 from pg_catalog.pg_depend d where d.objid = p.oid and d.classid = 'pg_catalog.pg_proc'::regclass and d.deptype = 'e') order by 1, 2`,
  );
  const set = await query<{ table: string; name: string; text: string; enabled: string }>(
    `select c.relname::text as table, t.tgname::text as name, pg_catalog.pg_get_triggerdef(t.oid) as text, t.tgenabled::text as enabled
     from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
     where not t.tgisinternal and not c.relispartition and c.relnamespace = 'public'::regnamespace order by 1, 2`,
  );
  const others = await query<{ name: string }>(
    `select 'rule ' || c.relname || '.' || r.rulename as name from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname not in ${systemSchemas} and (r.rulename <> '_RETURN' or c.relkind not in ('v', 'm'))
     union all select 'event trigger ' || e.evtname from pg_catalog.pg_event_trigger e order by 1`,
  );
  const functions = new Map<string, string[]>();
  for (const { name, attributes, settings, body } of found)
    functions.set(name, [...(functions.get(name) ?? []), spelledFunction(attributes, settings ?? [], body.replace(/^\s*--.*$/gm, ''))]);
  const triggers = new Map<string, string>();
  for (const { table, name, text, enabled } of set)
    triggers.set(`${table}.${name}`, enabled === 'O' ? spelledTrigger(text) : `not always enabled (${enabled})`);
  return { functions, triggers, foreign: others.map((one) => one.name) };
}

function spelledTrigger(text: string): string {
  const shown =
    /^CREATE (?:CONSTRAINT )?TRIGGER \S+ (BEFORE|AFTER)([\s\S]*?) ON (?:public\.)?[a-z_0-9]+([\s\S]*?)EXECUTE FUNCTION (?:public\.)?([a-z_0-9]+)\(([^)]*)\)$/.exec(
      text,
    );
  if (shown === null) return text;
  const [, when = '', events = '', rest = '', calls, given] = shown;
  return plain(
    `${when.toLowerCase()} ${eventsOf(events.replaceAll(' OR ', ' or ').replaceAll(' OF ', ' of '))} ${restOf(rest)} ${calls}(${given})`,
  );
}

/** Returns the differences as texts. An empty list means that the database runs the code of the migrations and no other. */
export function compareStoredCode(expected: StoredCode, actual: StoredCode): readonly string[] {
  const found = actual.foreign.map((name) => `${name} is unknown`);
  const bodiesOf = (code: StoredCode, name: string): string => [...(code.functions.get(name) ?? [])].sort().join('\0');
  for (const name of new Set([...expected.functions.keys(), ...actual.functions.keys()]))
    if (bodiesOf(expected, name) !== bodiesOf(actual, name))
      found.push(
        `function ${name} is ${!actual.functions.has(name) ? 'missing' : expected.functions.has(name) ? 'another one' : 'unknown'}`,
      );
  const [wanted, there] = [expected.triggers, actual.triggers];
  for (const name of new Set([...wanted.keys(), ...there.keys()]))
    if (wanted.get(name) !== there.get(name))
      found.push(`trigger ${name} is ${!there.has(name) ? 'missing' : wanted.has(name) ? 'another one' : 'unknown'}`);
  return found.sort();
}
