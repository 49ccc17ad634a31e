// Entries get into the record through one door only. Whoever writes an entry learns what was written, and later asks
// what became of it (decision 36).
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'tap';
import { createTestDatabase } from '../support/database.ts';

const root = join(import.meta.dirname, '..', '..');
const filesIn = (directory: string, end: string): readonly string[] =>
  readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(end))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
const sources = ['server', 'admin-cli', 'certs', 'verifier'].flatMap((directory) => filesIn(directory, '.ts'));
const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');

const door = 'server/postgres/entry-queries.ts';
const inserts =
  /insert\s+into\s+(?:only\s+)?(?:public\.)?"?ledger_fresh\b|(?:copy|merge\s+into|update)\s+(?:public\.)?"?ledger_fresh\b/i;

test('one file writes entries, and two others call it', async (t) => {
  t.same(
    sources.filter((path) => inserts.test(textOf(path))),
    [door],
  );
  t.same(
    sources.filter((path) => path !== door && /\binsertEntry\b/.test(textOf(path))),
    ['server/admin/calls/operator-queries.ts', 'server/warden/ledger/entries/record.ts'],
  );
  for (const text of [
    'insert into ledger_fresh (a)',
    'INSERT  INTO public.ledger_fresh',
    'copy ledger_fresh from',
    'update ledger_fresh set',
  ])
    t.match(text, inserts, 'the rule bites');
});

test('the functions of the database that write entries are known, and they return them', async (t) => {
  const sql = await createTestDatabase(t);
  const rows = await sql.query<{ name: string; source: string }>(
    `select p.proname as name, p.prosrc as source from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'public' and p.prosrc ~* 'into\\s+(public\\.)?"?ledger_fresh' order by 1`,
  );
  t.same(
    rows.map((row) => row.name),
    ['charge_batch', 'close_batch', 'first_read_batch', 'put_batch'],
  );
  for (const { name, source } of rows) t.match(source, /returning [\w., ]*row\(f\.id, f\.at/, name);
});

/** The pools that write no entries. */
const silent: Readonly<Record<string, string>> = {
  'server/admin/development-operators.ts': 'makes operators of a development world',
  'server/admin/incident/scopes.ts': 'reads snapshots',
  'server/postgres/database.ts': 'looks of regular passes, on connections that only read',
  'server/verify/verify.ts': 'has the role of an auditor; its verdict goes in by a function of its own',
  'server/warden/ledger/forward/forwards.ts': 'reads what is sealed',
};

test('every pool that can write entries keeps drafts of them', async (t) => {
  for (const path of sources) {
    const made = textOf(path).split('new Database({').slice(1);
    for (const [i, text] of made.entries()) {
      const options = text.slice(0, text.indexOf('});'));
      if (silent[path] === undefined) t.match(options, /\bdrafts\b/, `${path}, pool ${i}`);
      else t.notMatch(textOf(path), /\b(?:record|recordCall|insertEntry)\(/, `${path}: ${silent[path]}`);
    }
  }
});
