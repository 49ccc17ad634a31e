// Entries of a form that no warden writes, which the owner of the database had sealed: a question about an incident is
// answered all the same, and says so.
import { test } from 'tap';
import { oddCount } from '../../server/admin/incident/selection-queries.ts';
import { countFields } from '../../server/domain/ledger/entry-kinds.ts';
import { after, find, incidentWorld, print, visit } from '../support/incident-world.ts';

test('questions are answered beside rows of a form that no warden writes, and such rows are counted', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, customers, history, scopes, sql } = world;
  const who = world.newSession(accounts.thief, 'edge-1');
  const { session, account, node } = who;
  await visit(world, who, 0, 'one', { credential: print('key'), source: '192.0.2.7', client: 'SSH-2.0-x' });
  const asIs = await find(scopes, { credential: print('key') });
  t.match(asIs, { files: [{ path: '/one' }], summary: { totals: { oddEntries: 0 } } }, 'as it is');
  const ofSession = { session, account, node, customer: customers.a };
  const rows: readonly (readonly [name: string, odd: number, entry: Parameters<typeof history.add>[0]])[] = [
    [
      'a failed login whose facts are a list',
      0,
      { kind: 'login.refused', at: after(1), credential: print('key'), public: [1] as never },
    ],
    [
      'attempts of strangers that are no number',
      1,
      { kind: 'login.strangers', at: after(1), credential: print('key'), public: { attempts: 'x' } },
    ],
    [
      'attempts of strangers that are a list',
      1,
      { kind: 'login.strangers', at: after(1), credential: print('key'), public: [] as never },
    ],
    [
      'bytes of a session that are no number',
      1,
      { kind: 'session.ended', at: after(9), session, account, node, public: { bytesIn: 'x' } },
    ],
    [
      'names that are no number',
      1,
      { kind: 'folder.listed', at: after(2), ...ofSession, public: { folder: 'f', path: '/', names: 'x' } },
    ],
    [
      'names without an end',
      1,
      {
        kind: 'folder.listed',
        at: after(2),
        ...ofSession,
        public: { folder: 'f', path: '/', names: '9'.repeat(2000) },
      },
    ],
    [
      'extents that are no whole number',
      1,
      { kind: 'download.opened', at: after(2), ...ofSession, public: { extentCount: '1.5' } },
    ],
    [
      'extents beyond every file',
      0,
      { kind: 'download.opened', at: after(2), ...ofSession, public: { extentCount: 5_000_000_000 } },
    ],
    [
      'stored bytes below zero',
      1,
      { kind: 'upload.opened', at: after(2), ...ofSession, public: { folder: 'f', path: '/u', storedBytes: -5 } },
    ],
  ];
  for (const [name, odd, entry] of rows) {
    await history.add(entry);
    const found = await find(scopes, { credential: print('key') });
    t.ok(
      found.files.some(({ path }) => path === '/one'),
      `${name}: answered`,
    );
    t.equal(found.summary.totals.oddEntries, odd, `${name}: the answer says of how many entries a count is unknown`);
    t.ok(found.summary.totals.releasedBytes >= asIs.summary.totals.releasedBytes, 'nothing is lost by it');
    await sql.query('alter table ledger_sealed disable trigger all');
    await sql.query('delete from ledger_sealed where number = (select max(number) from ledger_sealed)');
  }
  await history.add({ kind: 'login.strangers', at: after(1), credential: print('key'), public: { attempts: 7 } });
  await history.add({ kind: 'login.strangers', at: after(1), credential: print('key'), public: { attempts: null } });
  const { totals } = (await find(scopes, { credential: print('key') })).summary;
  t.equal(totals.strangerLogins, 8, 'what does not say how many counts as one attempt, beside its honest twin');
});

test('the fields that are counts are read as such, in every kind', async (t) => {
  const { sql } = await incidentWorld(t);
  const read = async (value: string): Promise<readonly unknown[]> => {
    const [row] = await sql.query<{ n: unknown; odd: boolean }>(
      "select count_in($1, 'n') as n, is_odd_count($1, 'n') as odd",
      [`{"n": ${value}}`],
    );
    return [row?.n, row?.odd];
  };
  t.same(await read('7'), [7, false]);
  t.same(await read('"7"'), [7, false], 'digits are a number, whoever wrote them as a text');
  t.same(await read(`"${'9'.repeat(30)}"`), [Number.MAX_SAFE_INTEGER, false], 'at least so much');
  t.same(await read('null'), [null, false], 'nothing is said');
  for (const odd of ['"x"', '1.5', '-1', '[7]', '{}', 'true', '""', '1e999'])
    t.same(await read(odd), [null, true], odd);
  for (const [kind, fields] of Object.entries(countFields))
    for (const field of fields)
      t.match(
        oddCount,
        new RegExp(`'${kind}' then [^w]*(?:\\(l.public, '\\w+'\\) or is_odd_count)?\\(l.public, '${field}'\\)`),
        `${kind}: ${field}`,
      );
});
