// Owns: the functions and triggers that the migrations make, as a set that can be compared with those of a database. The files are the only expectation.
// Must never: pass over a function or trigger that no migration made.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Transaction } from './database.ts';

/** Names of functions with their bodies (an overloaded name has several), and triggers as `table.name` with what they call. */
export type StoredCode = {
  readonly functions: ReadonlyMap<string, readonly string[]>;
  readonly triggers: ReadonlyMap<string, string>;
};

const ours = join(import.meta.dirname, '..', '..', 'migrations');
const statements =
  /create (?:or replace )?function ([a-z_0-9]+)\s*\(([^;]*?)\)\s*returns(?:(?!\bcreate\b)[\s\S])*?(?:\bas \$\$([\s\S]*?)\$\$|\n\s*return\b[^;]*;)|drop table (?:if exists )?([a-z_0-9]+)|drop function (?:if exists )?([a-z_0-9]+)\s*\(([^)]*)\)|create (?:constraint )?trigger ([a-z_0-9]+) (before|after)([\s\S]*?) on ([a-z_0-9]+|%I)[\s\S]*?execute function ([a-z_0-9]+)\s*\(([^)]*)\)|drop trigger (?:if exists )?([a-z_0-9]+) on ([a-z_0-9]+)/g;
const plain = (text: string): string => text.replace(/\s+/g, ' ').trim();
/** A body in standard SQL (`return …`) stands in the catalogue as a tree: of those only the name is compared. By number of arguments: how the migrations tell functions of one name apart. */
const arityOf = (args: string): number => (args.trim() === '' ? 0 : args.split(',').length);

export function parseStoredCode(texts: readonly string[]): StoredCode {
  const bodies = new Map<string, string>();
  const triggers = new Map<string, string>();
  for (const text of texts)
    for (const match of text.replace(/^\s*--.*$/gm, '').matchAll(statements)) {
      const [
        ,
        made,
        args = '',
        body = '',
        lost,
        dropped,
        droppedArgs = '',
        trigger,
        when,
        events = '',
        table,
        calls,
        given = '',
        gone,
        from,
      ] = match;
      if (made !== undefined) bodies.set(`${made}/${arityOf(args)}`, plain(body));
      else if (lost !== undefined) {
        for (const key of triggers.keys()) if (key.startsWith(`${lost}.`)) triggers.delete(key);
      } else if (dropped !== undefined) bodies.delete(`${dropped}/${arityOf(droppedArgs)}`);
      else if (trigger !== undefined) triggers.set(`${table}.${trigger}`, plain(`${when} ${eventsOf(events)} ${calls}(${given})`));
      else if (gone !== undefined) triggers.delete(`${from}.${gone}`);
    }
  const functions = new Map<string, string[]>();
  for (const [key, body] of bodies) {
    const name = key.split('/')[0] ?? '';
    functions.set(name, [...(functions.get(name) ?? []), body]);
  }
  return { functions, triggers };
}

/** `insert or update of a, b` in one spelling, whatever the order. */
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

/** What stands in the database. Functions of extensions and triggers of partitions, which follow their table, are not ours. */
export async function storedCode(query: Transaction['query']): Promise<StoredCode> {
  const found = await query<{ name: string; body: string }>(
    `select p.proname::text as name, p.prosrc as body from pg_catalog.pg_proc p where p.pronamespace = 'public'::regnamespace
       and not exists (select 1 from pg_catalog.pg_depend d where d.objid = p.oid and d.classid = 'pg_catalog.pg_proc'::regclass and d.deptype = 'e') order by 1, 2`,
  );
  const set = await query<{ table: string; name: string; text: string; enabled: string }>(
    `select c.relname::text as table, t.tgname::text as name, pg_catalog.pg_get_triggerdef(t.oid) as text, t.tgenabled::text as enabled
     from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
     where not t.tgisinternal and not c.relispartition and c.relnamespace = 'public'::regnamespace order by 1, 2`,
  );
  const functions = new Map<string, string[]>();
  for (const { name, body } of found) functions.set(name, [...(functions.get(name) ?? []), plain(body.replace(/^\s*--.*$/gm, ''))]);
  const triggers = new Map<string, string>();
  for (const { table, name, text, enabled } of set) {
    const shown =
      /^CREATE (?:CONSTRAINT )?TRIGGER \S+ (BEFORE|AFTER)([\s\S]*?) ON [\s\S]*?EXECUTE FUNCTION (?:public\.)?([a-z_0-9]+)\(([^)]*)\)$/.exec(
        text,
      );
    const spelled =
      shown === null
        ? text
        : `${shown[1]?.toLowerCase()} ${eventsOf((shown[2] ?? '').replaceAll(' OR ', ' or ').replaceAll(' OF ', ' of '))} ${shown[3]}(${shown[4]})`;
    triggers.set(`${table}.${name}`, enabled === 'O' ? plain(spelled) : `not always enabled (${enabled})`);
  }
  return { functions, triggers };
}

/** What differs, in words; empty: the database runs the code of the migrations, and no other. */
export function compareStoredCode(expected: StoredCode, actual: StoredCode): readonly string[] {
  const found: string[] = [];
  const bodiesOf = (code: StoredCode, name: string): string => [...(code.functions.get(name) ?? [])].sort().join('\0');
  for (const name of new Set([...expected.functions.keys(), ...actual.functions.keys()]))
    if (bodiesOf(expected, name) !== bodiesOf(actual, name))
      found.push(
        `function ${name} is ${!actual.functions.has(name) ? 'missing' : expected.functions.has(name) ? 'another one' : 'unknown'}`,
      );
  // One statement for several tables (`on %I`) is known by its trigger's name and text, on whichever of them.
  const wanted = (name: string): string | undefined => expected.triggers.get(name) ?? expected.triggers.get(`%I.${name.split('.')[1]}`);
  const named = [...expected.triggers.keys()].filter((name) => !name.startsWith('%I.'));
  for (const name of new Set([...named, ...actual.triggers.keys()]))
    if (wanted(name) !== actual.triggers.get(name))
      found.push(`trigger ${name} is ${!actual.triggers.has(name) ? 'missing' : wanted(name) === undefined ? 'unknown' : 'another one'}`);
  return found.sort();
}
