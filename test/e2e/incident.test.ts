// An incident on a running gateway: what was done over SFTP, and what the answer says of it.
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { Database } from '../../server/postgres/database.ts';
import type { IncidentRow, IncidentSummary } from '../../server/rpc/operators/incident.ts';
import { archiveMonths, monthsAgo } from '../support/archived-months.ts';
import { SftpClient } from '../support/sftp-client.ts';
import { startWorld, type World } from '../support/world.ts';

type Answer = IncidentSummary & {
  readonly files: readonly IncidentRow<'files'>[];
  readonly names: readonly IncidentRow<'names'>[];
  readonly deposits: readonly IncidentRow<'deposits'>[];
  readonly sessions: readonly IncidentRow<'sessions'>[];
  readonly unread: readonly IncidentRow<'unread'>[];
  readonly customers: readonly IncidentRow<'customers'>[];
  readonly actions: readonly IncidentRow<'actions'>[];
};
type Hunt = {
  readonly occurring: number;
  readonly lines: readonly {
    readonly value: string;
    readonly found: { readonly hits: number; readonly accounts: readonly string[] } | null;
  }[];
};
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/**
 * Months that left the database of this world, with two refused logins of one account each, and the directory of their
 * archives.
 */
async function withArchivedMonths(world: World, directory: string, months: readonly number[]): Promise<string> {
  // As the owner: no role chooses when its entries happened, and nobody seals what happened so long ago. Their
  // positions are the first ones of the tree, because a statement stands behind what it states.
  const warden = new Database({ url: world.databaseUrl, applicationName: 'test', connectionsMax: 1 });
  try {
    for (const [place, month] of months.entries()) {
      await warden.withSystem((tx) => tx.query('select ledger_month($1)', [monthsAgo(month)]));
      for (const [i, address] of ['192.0.2.66', '192.0.2.6'].entries())
        await warden.withSystem((tx) =>
          tx.query(
            `insert into ledger_sealed (number, tree, position, salt, leaf, id, at, kind, observer, customer_id, account_id, source, public, sensitive)
             select n, coalesce(a.customer_id, '00000000-0000-0000-0000-000000000000'), $3::bigint * 2 + $4::bigint, sha256('s'), sha256('l'), n, $1, 'login.refused', 'warden', a.customer_id, a.id, $2, '{}', '{}'
             from account a cross join (select 1000000000 + 10 * $3::bigint + $4::bigint as n) x where a.name = 'acme-batch'`,
            [monthsAgo(month, i), address, place, i],
          ),
        );
    }
    // The gateway seals and witnesses the statements about the months.
    const isWitnessed = async (): Promise<boolean> =>
      (
        await warden.withSystem((tx) =>
          tx.query(
            'select 1 from ledger_fresh union all select 1 from ledger_state where unwitnessed_since is not null',
          ),
        )
      ).length === 0;
    await archiveMonths(
      warden,
      directory,
      async () => {
        for (let tries = 0; tries < 1000 && !(await isWitnessed()); tries += 1)
          await new Promise((resolve) => setTimeout(resolve, 50));
      },
      { onlineMonths: 13 },
    );
    return directory;
  } finally {
    await warden.close();
  }
}

test('an incident says what was done over SFTP, no more and no less', async (t) => {
  const world = await startWorld(t);
  const local = join(world.directory, 'local');
  mkdirSync(local);
  const files = {
    'one.xml': randomBytes(5000),
    'two.xml': randomBytes(70_000),
    'big.bin': randomBytes(20_000_000),
    'other.xml': randomBytes(100),
  } as const;
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(local, name), bytes);
  const put = async (account: string, ...names: readonly string[]): Promise<void> => {
    const done = await world.sftp(account, ['cd deposit', ...names.map((name) => `put ${join(local, name)}`)]);
    t.equal(done.code, 0, done.err);
  };
  await put('acme', 'one.xml', 'two.xml', 'big.bin');
  await put('acme-2', 'other.xml');
  const got = await world.sftp('processor', [
    'cd acme/deposit',
    'ls -1',
    `get one.xml ${join(local, 'got-1')}`,
    `get big.bin ${join(local, 'got-2')}`,
  ]);
  t.equal(got.code, 0, got.err);
  // A client that opens a file, reads its first extent, and vanishes.
  const client = await SftpClient.connect({
    port: world.demo.internal.port,
    username: 'processor',
    privateKey: readFileSync(world.keyFile('processor'), 'utf8'),
  });
  const handle = await client.open('/acme/deposit/two.xml');
  await client.read(handle, 0, 1000);
  client.destroy();
  await client.closed;

  const scope = async (...args: readonly string[]): Promise<Answer> => {
    const done = await world.cofferctl(['incident', 'scope', ...args, '--json']);
    t.equal(done.code, 0, done.err);
    return JSON.parse(done.out) as Answer;
  };
  // The edge says a moment later how it ended.
  let thief = await scope('--account', 'processor');
  for (let tries = 0; tries < 100 && thief.sessions.some((one) => one.end === null); tries += 1)
    thief = await scope('--account', 'processor');
  t.same(
    thief.files.map((row) => [row.customer, row.folder, row.path, row.size, row.sha256, row.releasedBytes]).sort(),
    (['one.xml', 'big.bin', 'two.xml'] as const)
      .map((name) => ['acme', 'deposit', `/${name}`, files[name].length, sha256(files[name]), files[name].length])
      .sort(),
    'name, size, hash and bytes',
  );
  t.same(
    thief.files.map((row) => [row.path, row.extents, row.releasedExtents]).sort(),
    [
      ['/big.bin', 2, 2],
      ['/one.xml', 1, 1],
      ['/two.xml', 1, 1],
    ],
    'every extent',
  );
  const certainty = (name: string): unknown => thief.files.find((row) => row.path === `/${name}`)?.certainty;
  t.same(['one.xml', 'big.bin', 'two.xml'].map(certainty), ['certain', 'certain', 'possible']);
  t.equal(thief.files.find((row) => row.path === '/big.bin')?.sentBytes, files['big.bin'].length);
  t.same(
    thief.unread.map((row) => [row.customer, row.path]),
    [['acme-2', '/other.xml']],
    'what it could have read and did not',
  );
  t.match(thief.names, [{ customer: 'acme', folder: 'deposit', path: '/', names: 3 }]);
  t.equal(thief.sessions.length, 2);
  t.match(thief.sessions, [{ account: 'processor', node: 'internal-1', source: '127.0.0.1' }, {}]);
  t.match(thief.record, { frozen: null, completeFrom: null });
  t.match(thief.customers, [
    { customer: 'acme', certain: 2, possible: 1 },
    { customer: 'acme-2', certain: 0, unread: 1 },
  ]);

  const depositor = await scope('--account', 'acme', '--node', 'partner-1');
  t.same(depositor.files, [], 'a depositor reads nothing');
  t.same(
    depositor.deposits.map((row) => [row.path, row.state, row.size, row.sha256]).sort(),
    (['one.xml', 'two.xml', 'big.bin'] as const)
      .map((name) => [`/${name}`, 'closed', files[name].length, sha256(files[name])])
      .sort(),
  );
  const key = depositor.sessions[0]?.credential ?? '';
  t.match(key, /^SHA256:/);
  t.equal((await scope('--credential', key)).deposits.length, 3);
  t.equal((await scope('--session', depositor.sessions[0]?.session ?? '')).deposits.length, 3);
  t.equal((await scope('--client-id', 'openssh', '--account', 'acme')).deposits.length, 3);
  t.equal((await scope('--source', '127.0.0.0/8', '--since', '1h')).files.length, 3);
  t.equal((await scope('--source', '192.0.2.0/24')).sessions.length, 0);
  t.equal((await scope('--node', 'partner-1')).deposits.length, 4);
  t.equal((await scope('--node', 'partner-1', '--until', '1h')).deposits.length, 0);
  await world.cofferctl(['account', 'lock', 'acme-2', '--reason', 'incident']);
  const alice = await scope('--operator', 'alice');
  t.ok(alice.actions.some((row) => row.kind === 'account.locked' && row.account === 'acme-2'));
  t.equal(
    alice.actions.some((row) => row.operator === 'nobody'),
    false,
  );

  const text = await world.cofferctl(['incident', 'scope', '--account', 'processor']);
  t.match(text.out, /2 files certain, 1 possible, 0 unsent[\s\S]*acme +2 +1 +0[\s\S]*acme +deposit\/big\.bin/);
  const csv = await world.cofferctl(['incident', 'scope', '--account', 'processor', '--csv']);
  t.equal(csv.out.split('\r\n').length - 2, 3);
  t.match(csv.out, new RegExp(`acme,[0-9a-f-]{36},deposit,/one.xml,[0-9a-f-]{36},${sha256(files['one.xml'])},5000,`));
  for (const [args, code] of [
    [['--since', '7d'], 2],
    [['--account', 'nobody'], 3],
    [['--credential', 'nothing'], 2],
    [['--node', 'x', '--since', '1h', '--until', '2h'], 2],
  ] as const)
    t.equal((await world.cofferctl(['incident', 'scope', ...args])).code, code, args.join(' '));

  const list = join(local, 'indicators.csv');
  writeFileSync(
    list,
    `type,value,note\nclient,ssh2js,a library\naddress,192.0.2.1\nsha256,${sha256(files['one.xml'])}\nfingerprint,${key}\n`,
  );
  const hunted = await world.cofferctl(['incident', 'hunt', '--ioc', list, '--json']);
  t.equal(hunted.code, 1, 'something was found');
  const hunt = JSON.parse(hunted.out) as Hunt;
  t.equal(hunt.occurring, 3);
  t.match(hunt.lines[0]?.found, { accounts: ['processor'], hits: 1 });
  t.equal(hunt.lines[1]?.found, null);
  t.match((await world.cofferctl(['incident', 'hunt', '--ioc', list])).out, /3 of 4 indicators occur/);
  t.equal((await world.cofferctl(['incident', 'hunt', '--ioc', list, '--csv'])).out.split('\r\n').length - 2, 4);
  writeFileSync(list, '192.0.2.1\n');
  t.equal((await world.cofferctl(['incident', 'hunt', '--ioc', list])).code, 0, 'nothing was found');
  writeFileSync(list, 'type,value\naddress,x\n');
  const wrong = await world.cofferctl(['incident', 'hunt', '--ioc', list]);
  t.equal(wrong.code, 2);
  t.match(wrong.err, /line 2: "x" is no address/);

  const archive = await withArchivedMonths(world, join(world.directory, 'copy'), [16, 15]);
  writeFileSync(list, `type,value\naddress,192.0.2.66\nfingerprint,${key}\naddress,192.0.2.67\naccount,acme-batch\n`);
  const partly = await world.cofferctl(['incident', 'hunt', '--ioc', list]);
  t.match(
    [partly.code, partly.out],
    [1, /^NOT COMPLETE: the record before .* --archive DIR looks at them: .* 2 files[\s\S]*2 of 4 indicators occur/],
  );
  const whole = await world.cofferctl(['incident', 'hunt', '--ioc', list, '--archive', archive, '--json']);
  t.equal(whole.code, 1, whole.err);
  const both = JSON.parse(whole.out) as Hunt & { readonly completeFrom: string | null; readonly archives: unknown };
  t.match(both, {
    occurring: 3,
    completeFrom: null,
    archives: { months: [String, String], entries: 4 },
    retentionEnded: [],
  });
  t.match(both.lines, [
    {
      found: null,
      archived: {
        hits: 2,
        sessions: 0,
        accounts: ['acme-batch'],
        customers: ['acme'],
        kinds: [{ kind: 'login.refused', count: 2 }],
      },
    },
    { found: { accounts: ['acme'] }, archived: null },
    { found: null, archived: null },
    { found: { accounts: ['acme-batch'] }, archived: { hits: 4, sessions: 0 } },
  ]);
  const shown = await world.cofferctl(['incident', 'hunt', '--ioc', list, '--archive', archive]);
  t.match(
    shown.out,
    /^Looked at the database and 2 archives with 4 entries\.\n3 of 4 indicators occur[\s\S]* 192\.0\.2\.66 +2 +2 [\s\S]*acme-batch/,
  );
  t.notMatch(shown.out, /NOT COMPLETE/);
  const rows = await world.cofferctl(['incident', 'hunt', '--ioc', list, '--archive', archive, '--csv']);
  t.match(
    [rows.err, rows.out],
    [
      '',
      /^line,type,value,hits,archived,[\s\S]*\r\n2,address,192\.0\.2\.66,2,2,[\s\S]*\r\n4,address,192\.0\.2\.67,0,0,/,
    ],
  );
  t.match((await world.cofferctl(['incident', 'hunt', '--ioc', list, '--csv'])).err, /cofferctl: NOT COMPLETE/);
  writeFileSync(list, '192.0.2.67\n');
  t.equal(
    (await world.cofferctl(['incident', 'hunt', '--ioc', list, '--archive', archive])).code,
    0,
    'nothing, in the whole record',
  );
  const [file = '', other = ''] = readdirSync(archive).sort();
  const bytes = readFileSync(join(archive, file));
  writeFileSync(join(archive, file), bytes.subarray(0, -1));
  const cut = await world.cofferctl(['incident', 'hunt', '--ioc', list, '--archive', archive, '--json']);
  t.match([cut.code, cut.out, cut.err], [10, '', new RegExp(`${file} is cut off`)]);
  writeFileSync(join(archive, file), readFileSync(join(archive, other)));
  const swapped = await world.cofferctl(['incident', 'hunt', '--ioc', list, '--archive', archive, '--json']);
  t.match([swapped.code, swapped.out, swapped.err], [10, '', new RegExp(`${file} is not the file that was written`)]);
  rmSync(join(archive, file));
  const missing = await world.cofferctl(['incident', 'hunt', '--ioc', list, '--archive', archive, '--json']);
  t.match([missing.code, missing.out, missing.err], [78, '', new RegExp(`${file} is missing`)]);
});
