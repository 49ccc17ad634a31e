// What may be recorded: every field has a class, and everything else is refused. The reference page says the same.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import {
  columns,
  countFields,
  entryKinds,
  fieldFault,
  operatorsIn,
  unclassified,
} from '../../../server/domain/ledger/entry-kinds.ts';

type Shape = {
  readonly says: string;
  readonly public?: readonly string[];
  readonly sensitive?: readonly string[];
  readonly edge?: readonly string[];
};
const kinds = Object.entries(entryKinds as Readonly<Record<string, Shape>>);

test('a field that has no class is treated as secret', async (t) => {
  t.equal(unclassified('folder.listed', { public: { folder: 'deposit', names: 3 }, sensitive: {} }), undefined);
  t.match(
    unclassified('folder.listed', { public: { password: 'x' }, sensitive: {} }),
    /password is not classified as public/,
  );
  t.match(
    unclassified('folder.listed', { public: {}, sensitive: { folder: 'deposit' } }),
    /folder is not classified as sensitive/,
    'nor in another class than its own',
  );
  t.match(
    unclassified('session.opened', { public: { window: 'w' }, sensitive: {} }),
    /window is not classified as public/,
    'what is internal is not shown',
  );
  t.match(unclassified('nothing.such', { public: {}, sensitive: {} }), /no kind of entry/);
  t.match(unclassified('toString', { public: {}, sensitive: {} }), /no kind of entry/);
  t.equal(
    unclassified('folder.listed', { public: { after: undefined, token: undefined }, sensitive: {} }),
    undefined,
    'what is absent is not recorded',
  );
  for (const [kind, shape] of kinds) {
    t.match(kind, /^[a-z-]+\.[a-z-]+$/);
    const both = [...(shape.public ?? []), ...(shape.sensitive ?? [])];
    t.equal(new Set(both).size, both.length, `${kind}: a field has one class`);
    t.notOk(
      both.some((field) => /password|secret|seed|ticket|token|privatekey|code$/i.test(field)),
      `${kind} names no secret`,
    );
    for (const field of shape.edge ?? []) t.ok(both.includes(field), `${kind}: ${field} is a field`);
  }
});

test('an entry names the operators behind an act', async (t) => {
  t.same(operatorsIn('alice'), ['alice']);
  t.same(operatorsIn('operator alice'), ['alice']);
  t.same(operatorsIn('alice, approved by bob'), ['alice', 'bob']);
  t.same(operatorsIn('alice (break-glass)'), ['alice']);
  for (const nobody of ['account acme', 'the clock', 'acme (console)', '', undefined, 7, 'Alice', 'a b'])
    t.same(operatorsIn(nobody), [], String(nobody));
});

test('docs/reference/ledger-entries.md lists what the code lists', async (t) => {
  const page = readFileSync(
    join(import.meta.dirname, '..', '..', '..', 'docs', 'reference', 'ledger-entries.md'),
    'utf8',
  );
  const lines = new Set(page.split('\n'));
  for (const [kind, { says, public: shown = [], sensitive = [], edge = [] }] of kinds) {
    const fields = shown.map((field) => (edge.includes(field) ? `${field} (edge)` : field)).join(', ');
    const line = `| \`${kind}\` | ${says} | ${fields} | ${sensitive.join(', ')} |`;
    t.ok(lines.has(line), line);
  }
  t.equal([...lines].filter((line) => /^\| `[a-z-]+\./.test(line)).length, kinds.length, 'and nothing else');
  for (const [name, { class: of }] of Object.entries(columns)) t.ok(page.includes(`\`${name}\` (${of}`), name);
});

test('the columns of every entry: their class, and who observed their value', (t) => {
  const text = Object.entries(columns).map(([name, one]) => `${name} ${one.class} ${one.observer}`);
  t.same(text, [
    ...['customer', 'account', 'session', 'node', 'plane', 'handle', 'version', 'extent', 'bytes'].map(
      (name) => `${name} public entry`,
    ),
    ...['credential', 'alsoCredential'].map((name) => `${name} sensitive entry`),
    ...['source', 'sourcePort', 'client'].map((name) => `${name} sensitive edge`),
    'operator sensitive entry',
  ]);
  t.end();
});

test('which fields are counts, and what a count is', (t) => {
  t.same(countFields, {
    'folder.changed': ['held', 'settling'],
    'login.strangers': ['attempts'],
    'session.ended': ['bytesIn', 'bytesOut'],
    'folder.listed': ['names'],
    'upload.opened': ['storedBytes'],
    'upload.closed': ['extentCount'],
    'upload.interrupted': ['storedBytes'],
    'download.opened': ['extentCount'],
  });
  t.equal(Object.keys(countFields).length, 8, 'and no other kind has any');
  const fault = (kind: string, fields: object): string | undefined =>
    fieldFault({ kind, publicText: JSON.stringify(fields) });
  for (const value of [0, 1, Number.MAX_SAFE_INTEGER, null, undefined])
    t.equal(fault('folder.listed', { names: value }), undefined, `${value}`);
  for (const value of [-1, 1.5, 2 ** 53, '1', '', true, [], {}])
    t.equal(
      fault('folder.listed', { names: value }),
      'folder.listed: its field names is no count',
      JSON.stringify(value),
    );
  t.equal(
    fault('session.ended', { bytesIn: 7, bytesOut: 'x' }),
    'session.ended: its field bytesOut is no count',
    'each of them',
  );
  t.equal(fault('folder.listed', { attempts: 'x' }), undefined, 'a count of another kind');
  for (const kind of ['file.published', 'kind.of-tomorrow', 'toString'])
    t.equal(fault(kind, { names: 'x' }), undefined, kind);
  t.end();
});
