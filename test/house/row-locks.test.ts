// A statement that locks a row finds it by the row's own columns; what other rows say is read in a later statement.
// When PostgreSQL had to wait for a lock, it examines only the locked row again. The rest of the statement keeps what
// it saw before, so a join finds nothing any more, or finds something that is over.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { storedFunctions } from '../support/lock-texts.ts';
import { statementsOf } from '../support/statements.ts';

const root = join(import.meta.dirname, '..', '..');
const lock = /\bfor (?:no key update|update|share|key share)\b/i;

/**
 * Statements and functions that lock a row and name more than its table, with the reason why what they read elsewhere
 * does not change meanwhile.
 */
const others: Readonly<Record<string, string>> = {
  'server/warden/budgets/budget-command-queries.ts lockBudgetsOf':
    'whose budget it is, and whether that is a self-test, never changes',
  'server/warden/credentials/credential-queries.ts takeExpiring':
    'only its contact is read of the account; the credential is looked at again by the update',
  'server/warden/credentials/rotation-queries.ts openItems':
    'the rotation is locked before; the update of the credentials looks at them again',
  'migrations charge_ending':
    'whose budgets they are never changes; an end that is older by the wait is within what its grace period is for',
  'migrations pace': 'it steers, and guards nothing: a rate that was changed meanwhile counts from the next piece on',
};

/**
 * The tables that a statement reads, once for each time. Names that the statement defines itself, and functions, are
 * left out.
 */
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

test('a statement that locks a row reads no other row', (t) => {
  const server = readdirSync(join(root, 'server'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .flatMap((path) =>
      statementsOf(readFileSync(join(root, 'server', path), 'utf8')).map(({ at, text }) => ({
        at: `server/${path} ${at}`,
        text,
      })),
    );
  const stored = [...storedFunctions()].flatMap(([name, body]) =>
    body.split(';').map((text) => ({ at: `migrations ${name}`, text })),
  );
  const all = [...server, ...stored];
  t.ok(all.filter(({ text }) => lock.test(text) && tables(text).length > 0).length >= 30, 'locks are found');
  const found = all.filter(({ text }) => joins(text)).map((one) => one.at);
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

test('the rule finds what it is meant to find', (t) => {
  for (const [text, is] of [
    ['select v.id from version v join file f on f.id = v.file_id where v.id = $1 for update of v', true],
    ['select v.id from version v, file f where f.id = v.file_id for no key update', true],
    [
      'select v.id from version v where not exists (select 1 from version n where n.file_id = v.file_id) for share',
      true,
    ],
    ['select id from version where id = $1 for update skip locked', false],
    [
      'with due as (select s.id from unnest($1) x(id) join session s on s.id = x.id for update) update session s set a = 1 from due',
      false,
    ],
    ['select v.id from version v join file f on f.id = v.file_id', false],
  ] as const)
    t.equal(joins(text), is, text);
  t.end();
});
