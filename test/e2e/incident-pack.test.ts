// Whose files were exposed: the scope says what was really done through sftp, neither more nor less; and the indicators
// that are hunted are found.
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { connect } from '../../admin-cli/connection/client.ts';
import { type Answer, ask } from '../../admin-cli/incident/answer.ts';
import { saveSlice, waitForEpoch } from '../../admin-cli/incident/folder.ts';
import { run, startWorld } from '../support/world.ts';

type Scope = {
  readonly record: { readonly completeFrom: string | null };
  readonly totals: Readonly<Record<string, number>>;
  readonly customers: readonly { readonly customer: string; readonly certain: number; readonly unread: number }[];
  readonly files: readonly {
    readonly customer: string;
    readonly folder: string;
    readonly path: string;
    readonly sha256: string;
    readonly size: number;
    readonly certainty: string;
    readonly releasedBytes: number;
    readonly sentBytes: number;
    readonly differs: readonly string[];
  }[];
  readonly names: readonly { readonly folder: string; readonly names: number }[];
  readonly deposits: readonly { readonly path: string; readonly state: string; readonly sha256: string }[];
  readonly sessions: readonly {
    readonly account: string;
    readonly source: string;
    readonly client: string;
    readonly credential: string;
    readonly reason: string;
  }[];
  readonly unread: readonly { readonly path: string }[];
  readonly actions: readonly { readonly kind: string }[];
};

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

test('scope, pack and hunt say what was done, and nothing else', async (t) => {
  const world = await startWorld(t);
  const file = (name: string, bytes: Buffer): string => {
    const path = join(world.directory, name);
    writeFileSync(path, bytes);
    return path;
  };
  const scope = (...args: string[]): Promise<Scope> => world.cofferctlJson<Scope>(['incident', 'scope', ...args]);
  const [small, large, other] = [randomBytes(1000), randomBytes(20 * 2 ** 20), randomBytes(5000)];
  t.equal(
    (
      await world.sftp('acme', [
        `put ${file('small', small)} deposit/small.xml`,
        `put ${file('large', large)} deposit/large.bin`,
      ])
    ).code,
    0,
  );
  t.equal((await world.sftp('globex', [`put ${file('other', other)} deposit/other.xml`])).code, 0);

  const taken = await world.sftp('processor', [
    'ls acme/deposit',
    `get acme/deposit/large.bin ${join(world.directory, 'got-large')}`,
    `get globex/deposit/other.xml ${join(world.directory, 'got-other')}`,
  ]);
  t.equal(taken.code, 0, taken.err);

  const all = await scope('--account', 'processor');
  t.same(
    all.files.map((one) => [
      one.customer,
      one.folder,
      one.path,
      one.sha256,
      one.size,
      one.certainty,
      one.releasedBytes,
      one.sentBytes,
      [...one.differs],
    ]),
    [
      ['acme', 'deposit', '/large.bin', sha256(large), large.length, 'certain', large.length, large.length, []],
      ['globex', 'deposit', '/other.xml', sha256(other), other.length, 'certain', other.length, other.length, []],
    ],
    'the files that were read, whole, with their hashes',
  );
  t.same(
    all.names.map((one) => [one.folder, one.names]),
    [['deposit', 2]],
    'the names that were told',
  );
  t.same(
    all.unread.map((one) => one.path),
    ['/small.xml'],
    'what could have been read',
  );
  t.equal(all.record.completeFrom, null);
  t.match(all.totals, { sessions: 1, certain: 2, possible: 0, unsent: 0, deposits: 0, names: 2, unread: 1 });
  t.match(all.sessions, [
    { account: 'processor', source: '127.0.0.1', client: /OpenSSH/, reason: /client-closed|connection-lost/ },
  ]);

  const credential = all.sessions[0]?.credential ?? '';
  for (const args of [
    ['--credential', credential],
    ['--client-id', 'openssh', '--account', 'processor'],
    ['--source', '127.0.0.0/8', '--credential', credential],
    ['--node', 'internal-1'],
  ])
    t.same(
      (await scope(...args)).files.map((one) => one.path),
      ['/large.bin', '/other.xml'],
      args.join(' '),
    );
  for (const args of [
    ['--source', '192.0.2.0/24'],
    ['--client-id', 'PuTTY'],
    ['--node', 'internal-1', '--until', '1d'],
    ['--account', 'globex-batch'],
  ])
    t.match(
      (await scope(...args)).totals,
      { certain: 0, possible: 0, unsent: 0, releasedBytes: 0 },
      `nothing: ${args.join(' ')}`,
    );

  const depositors = await scope('--node', 'partner-1');
  t.same(
    depositors.deposits.map((one) => [one.path, one.state, one.sha256]).sort(),
    [
      ['/large.bin', 'closed', sha256(large)],
      ['/other.xml', 'closed', sha256(other)],
      ['/small.xml', 'closed', sha256(small)],
    ],
    'an edge that was taken saw what passed through',
  );
  t.equal(depositors.files.length, 0);
  const mine = await scope('--operator', 'alice');
  t.ok(mine.actions.length > 3 && mine.actions.some((one) => one.kind === 'account.created'), 'what an operator did');

  t.match((await world.cofferctl(['incident', 'scope'])).err, /name whom it concerns/);
  t.match((await world.cofferctl(['incident', 'scope', '--account', 'nobody'])).err, /no account named nobody/);
  t.match((await world.cofferctl(['incident', 'scope', '--node', 'nowhere'])).err, /no edge named nowhere/);
  const text = await world.cofferctl(['incident', 'scope', '--account', 'processor']);
  t.match(text.out, /2 files certain, 0 possible, 0 unsent/);
  t.match(text.out, /acme +1 +0 +0/);
  const lines = (await world.cofferctl(['incident', 'scope', '--account', 'processor', '--csv'])).out.split('\r\n');
  t.match(lines[0], /^customer,customer id,folder,path,version,sha256,size,/);
  t.equal(lines.length, 4, 'a header, two files, the end');

  const out = join(world.directory, 'pack');
  const packed = await world.cofferctl([
    'incident',
    'pack',
    '--account',
    'processor',
    '--aware',
    '2026-11-24T18:00Z',
    '--out',
    out,
  ]);
  t.equal(packed.code, 0, packed.err);
  const { customers } = await world.cofferctlJson<{ customers: readonly { id: string; name: string }[] }>([
    'customer',
    'list',
  ]);
  const folderOf = (bank: string): string => `${bank}_${customers.find((one) => one.name === bank)?.id}`;
  const own = join(out, folderOf('acme'));
  t.same(readdirSync(out).sort(), [
    folderOf('acme'),
    folderOf('globex'),
    'incident.md',
    'ledger-verifier.mjs',
    'scope.json',
  ]);
  t.same(readdirSync(own).sort(), [
    'VERIFY.md',
    'attempts.csv',
    'deposits.csv',
    'files.csv',
    'files.json',
    'names.csv',
    'notice.md',
    'slice.jsonl',
  ]);
  const page = readFileSync(join(out, 'incident.md'), 'utf8');
  // The deadlines of `domain/incident/clocks.ts`: 4, 24, 36 and 72 hours after awareness, and one month after the
  // intermediate report, which is due 72 hours after the initial one.
  for (const clock of [
    '2026-11-24 22:00',
    '2026-11-25 18:00',
    '2026-11-26 06:00',
    '2026-11-27 18:00',
    '2026-12-28 18:00',
  ])
    t.ok(page.includes(clock), clock);
  const acme = readdirSync(own)
    .map((name) => readFileSync(join(own, name), 'utf8'))
    .join('');
  t.notMatch(acme, /globex|other\.xml|127\.0\.0\.1|OpenSSH/, 'nothing of others, nothing internal');
  t.match(readFileSync(join(own, 'notice.md'), 'utf8'), /1 of your files were sent/);
  const command =
    /^node .*$/m
      .exec(readFileSync(join(own, 'VERIFY.md'), 'utf8'))?.[0]
      .split(' ')
      .slice(1) ?? [];
  const verified = await run(process.execPath, command, { cwd: own });
  t.equal(verified.code, 0, verified.out + verified.err);
  t.match(verified.out, /GOOD/);
  const slice = readFileSync(join(own, 'slice.jsonl'), 'utf8');
  t.match(slice, /extent\.granted/);
  writeFileSync(join(own, 'slice.jsonl'), slice.replace('extent.granted', 'extent.refused'));
  t.equal((await run(process.execPath, command, { cwd: own })).code, 1, 'a changed entry does not verify');
  // Node.js never returns from a recursive mkdir when a part of the path cannot contain directories, so cofferctl makes
  // only the last directory itself, and must answer here at once.
  for (const [place, words] of [
    ['/proc/pack', /cannot be made \(E[A-Z]+\)/],
    [join(out, 'no', 'such'), /cannot be made \(ENOENT\)/],
    [process.execPath, /is no directory/],
  ] as const)
    t.match(
      await world.cofferctl(['incident', 'pack', '--account', 'processor', '--aware', '2h', '--out', place]),
      { code: 2, err: words },
      place,
    );
  t.match(
    (await world.cofferctl(['incident', 'pack', '--account', 'processor', '--aware', '2h', '--out', out])).err,
    /exists and is not empty/,
  );

  const ioc = file(
    'ioc.csv',
    Buffer.from(
      `type,value,note\n# from the authority\nsha256,${sha256(large)},seen elsewhere\nclient,openssh\naddress,127.0.0.1\naddress,198.51.100.7\nfingerprint,${credential}\n`,
    ),
  );
  const hunt = await world.cofferctl(['incident', 'hunt', '--ioc', ioc, '--json']);
  t.equal(hunt.code, 1, hunt.err);
  const { lines: found } = JSON.parse(hunt.out) as {
    lines: readonly {
      type: string;
      found: { hits: number; kinds: readonly { kind: string; count: number }[] } | null;
    }[];
  };
  const kindsOf = (type: string): string =>
    (found.find((one) => one.type === type)?.found?.kinds ?? [])
      .map((one) => `${one.kind} ${one.count}`)
      .sort()
      .join(', ');
  t.match(kindsOf('sha256'), /download\.opened 1.*upload\.closed 1/);
  t.match(kindsOf('client'), /session\.opened 3/);
  t.match(kindsOf('fingerprint'), /session\.opened 1/);
  t.equal(found.filter((one) => one.found === null).length, 1, 'one of them never occurred');
  const clean = await world.cofferctl(['incident', 'hunt', '--ioc', file('clean.csv', Buffer.from('198.51.100.7\n'))]);
  t.equal(clean.code, 0);
  t.match(clean.out, /0 of 1 indicators occur/);
  t.match(
    (await world.cofferctl(['incident', 'hunt', '--ioc', file('bad.csv', Buffer.from('198.51.100.7\nwhat is this\n'))]))
      .err,
    /2.*what is this/s,
  );
});

test('an answer covers the time until it was asked for: later events are neither denied nor in the way', async (t) => {
  const world = await startWorld(t);
  const local = join(world.directory, 'deposit.xml');
  writeFileSync(local, randomBytes(1000));
  for (const bank of ['acme', 'globex'])
    t.equal((await world.sftp(bank, [`put ${local} deposit/deposit.xml`])).code, 0);
  const read = async (bank: string): Promise<void> => {
    const got = await world.sftp('processor', [
      `get ${bank}/deposit/deposit.xml ${join(world.directory, `got-${bank}`)}`,
    ]);
    t.equal(got.code, 0, got.err);
  };
  await read('acme');
  const client = await connect({
    directory: join(world.directory, 'operators', 'alice'),
    socket: join(world.directory, 'run', 'admin', 'admin.sock'),
  });
  t.teardown(() => client.close());
  const { customers } = await client.call('customer.list', {});
  const idOf = (name: string): string => customers.find((one) => one.name === name)?.id ?? '';
  const options = { unread: false, proved: true, isTerminal: false };
  const answers = [
    await ask(client, { account: 'processor' }, options),
    await ask(client, { node: 'internal-1' }, options),
  ];
  const askedBefore = new Date().toISOString();
  // The thief goes on, and so does everybody else.
  await read('globex');
  await waitForEpoch(client);
  await read('globex');
  const { verifierKeys: keys } = await client.call('ledger.status', {});
  const save = (bank: string, { scope, summary }: Answer, name: string): Promise<unknown> =>
    saveSlice(client, scope, { customer: bank, customerId: idOf(bank) }, join(world.directory, name), {
      keys,
      witnesses: [join(world.directory, 'witness')],
      window: summary.window,
    });
  for (const [i, answer] of answers.entries()) {
    const slice = async (bank: string): Promise<unknown> => save(bank, answer, `${bank}-${i}.jsonl`);
    t.match(await slice('acme'), { says: 'affected' });
    const told = (await slice('globex')) as { readonly says: string; readonly end: number };
    t.equal(told.says, 'not-affected');
    t.ok(
      told.end > Date.UTC(2026) * 1000 && told.end < Date.parse(askedBefore) * 1000,
      `it says until when: ${told.end}`,
    );
  }
  const now = await ask(client, { account: 'processor' }, options);
  await waitForEpoch(client);
  t.match(await save('globex', now, 'globex-now.jsonl'), { says: 'affected', named: { name: 'globex' } }, 'the twin');
});
