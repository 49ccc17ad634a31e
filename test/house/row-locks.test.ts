// Whoever locks a row locks it by its own columns, and reads what stands in other rows in a later statement. When a lock was waited for, PostgreSQL looks again
// at the locked row alone: the rest of the statement keeps what it saw before, so a join finds nothing any more, or finds what is over.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

const root = join(import.meta.dirname, '..', '..');
const lock = /\bfor (?:no key update|update|share|key share)\b/i;

/** Statements and functions that lock a row and name more than its table, with the reason why what they read elsewhere does not change under them. */
const others: Readonly<Record<string, string>> = {
  'server/warden/commands/budget-command-queries.ts lockBudgetsOf': 'whose budget it is, and whether that is a self-test, never changes',
  'server/warden/credentials/credential-queries.ts takeExpiring':
    'only its contact is read of the account; the credential is looked at again by the update',
  'server/warden/credentials/rotation-queries.ts openItems':
    'the rotation is locked before; the update of the credentials looks at them again',
  'migrations charge_ending': 'whose budgets they are never changes; an end that is older by the wait is within what its grace is for',
  'migrations pace': 'it steers, and guards nothing: a rate that was changed meanwhile counts from the next piece on',
};

/** Functions and constants of a file, each with its text; constants that are texts stand where they are used. */
function parts(text: string): readonly { readonly name: string; readonly text: string }[] {
  const texts = new Map(
    [...text.matchAll(/^const (\w+) =\s*(`[^`]*`|'[^'\n]*'|"[^"\n]*")/gm)].map(([, name = '', value = '']) => [name, value.slice(1, -1)]),
  );
  const whole = (one: string): string => one.replace(/\$\{(\w+)\}/g, (all, name: string) => texts.get(name) ?? all);
  const starts = [...text.matchAll(/^(?:export )?(?:async )?(?:function|const) (\w+)/gm)];
  return starts.map((match, i) => ({ name: match[1] ?? '', text: whole(whole(text.slice(match.index, starts[i + 1]?.index))) }));
}
const statements = (text: string): readonly string[] => [...text.matchAll(/`[^`]*`|'[^'\n]*'|"[^"\n]*"/g)].map(([one]) => one);

/** The tables that a statement reads, each as often as it does; not what it names itself, and not functions. */
function tables(statement: string): readonly string[] {
  const own = new Set([...statement.matchAll(/\b(\w+) as (?:materialized )?\(/g)].map(([, name]) => name));
  return [
    ...statement.matchAll(
      /(?<!delete )(?<!distinct )(?<!epoch )\b(?:from|join)\s+((?:lateral\s+)?\w+(?:\s+\w+)?(?:\s*,\s*\w+(?:\s+\w+)?)*)(\()?/gi,
    ),
  ]
    .filter(([, , call]) => call === undefined)
    .flatMap(([, list = '']) => list.split(',').map((one) => one.trim().split(/\s+/)[0] ?? ''))
    .filter((name) => name !== 'lateral' && name !== 'unnest' && name !== 'select' && !own.has(name));
}
const joins = (statement: string): boolean => lock.test(statement) && tables(statement).length > 1;

/** The bodies of the functions that a database has after all migrations: of each name the last one. */
function functions(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const file of readdirSync(join(root, 'migrations'))
    .filter((name) => name.endsWith('.sql'))
    .sort())
    for (const [, name = '', body = ''] of readFileSync(join(root, 'migrations', file), 'utf8').matchAll(
      /create (?:or replace )?function (\w+)\([^;]*?\$\$([\s\S]*?)\$\$/gi,
    ))
      found.set(name, body.replace(/--.*$/gm, ''));
  return found;
}

test('a statement that locks a row reads no other', (t) => {
  const server = readdirSync(join(root, 'server'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .flatMap((path) =>
      parts(readFileSync(join(root, 'server', path), 'utf8')).map((part) => ({
        at: `server/${path} ${part.name}`,
        statements: statements(part.text),
      })),
    );
  const stored = [...functions()].map(([name, body]) => ({ at: `migrations ${name}`, statements: body.split(';') }));
  const all = [...server, ...stored];
  t.ok(all.filter((one) => one.statements.some((text) => lock.test(text) && tables(text).length > 0)).length >= 30, 'locks are found');
  const found = all.filter((one) => one.statements.some(joins)).map((one) => one.at);
  t.same(
    found.filter((at) => !(at in others)),
    [],
    'lock it by its own columns, and read the rest in a second statement',
  );
  t.same(
    Object.keys(others).filter((at) => !found.includes(at)),
    [],
    'reasons for what is not there',
  );
  t.end();
});

test('the rule sees what it is for', (t) => {
  for (const [text, is] of [
    ['select v.id from version v join file f on f.id = v.file_id where v.id = $1 for update of v', true],
    ['select v.id from version v, file f where f.id = v.file_id for no key update', true],
    ['select v.id from version v where not exists (select 1 from version n where n.file_id = v.file_id) for share', true],
    ['select id from version where id = $1 for update skip locked', false],
    ['with due as (select s.id from unnest($1) x(id) join session s on s.id = x.id for update) update session s set a = 1 from due', false],
    ['select v.id from version v join file f on f.id = v.file_id', false],
  ] as const)
    t.equal(joins(text), is, text);
  t.end();
});
