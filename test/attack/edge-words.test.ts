// T-35: whatever a compromised edge states, the questions after an incident are answered, truthfully; and what it can
// make the warden store is bounded.
import { randomBytes, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Test, test } from 'tap';
import { verbs } from '../../admin-cli/verbs.ts';
import { edgeToWarden } from '../../server/rpc/edge-warden.ts';
import { asWarden } from '../support/as-warden.ts';
import { extremes } from '../support/extremes.ts';
import { transcript, UserKey } from '../support/impostor.ts';
import { TakenEdge } from '../support/taken-edge.ts';
import { startWorld, type World } from '../support/world.ts';
import { wideFaultsEnv } from '../support/wrong-forms.ts';

const beyond = Number.MAX_SAFE_INTEGER;
type Scope = {
  readonly totals: Readonly<Record<string, number>>;
  readonly files: readonly {
    readonly path: string;
    readonly sentBytes: number;
    readonly releasedBytes: number;
    readonly certainty: string;
  }[];
  readonly sessions: readonly {
    readonly bytesIn: number | null;
    readonly bytesOut: number | null;
    readonly client: string;
  }[];
};

async function ownerOf(t: Test, world: World): Promise<pg.Client> {
  const owner = new pg.Client({ connectionString: world.databaseUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  await owner.query("select set_config('cofferdam.customers', '*', false)");
  return owner;
}

/** Every command that only reads, with its arguments. Those without arguments are all asked. */
const asked: Readonly<Record<string, readonly string[]>> = {
  'customer show': ['globex'],
  'account show': ['globex-batch'],
  'file list': ['globex'],
  'file receipt': ['--customer', 'globex', '--path', '/collect/statement'],
  'budget show': ['--account', 'globex-batch'],
  'budget history': ['--customer', 'globex'],
  'session list': ['--all'],
  'incident scope': ['--node', 'partner-1'],
  'ledger search': ['--node', 'partner-1', '--limit', '1000'],
  'ledger show': ['1'],
  'report changes': ['--since', '1d'],
};
/** They follow without an end, or need the name of something that does not exist here, or begin an installation. */
const unasked = [
  'ledger tail',
  'rotation show',
  'change show',
  'credential show',
  'exposure',
  'incident hunt',
  'incident pack',
  'incident assure',
  'bootstrap',
  'completion',
];

async function everythingAnswers(t: Test, world: World): Promise<void> {
  const reading = verbs.filter((one) => one.changes !== true && !one.options.some(({ name }) => name === 'execute'));
  t.ok(reading.length > 30, `${reading.length} commands read`);
  for (const { words } of reading) {
    const name = words.join(' ');
    if (unasked.includes(name)) continue;
    const done = await world.cofferctl([...words, ...(asked[name] ?? []), '--json']);
    // These two find that an edge does not run and that its controls do not work.
    t.ok(
      done.code === 0 || (['doctor', 'status'].includes(name) && done.code === 1),
      `${name} answers: ${done.code} ${done.err}`,
    );
    t.notMatch(done.out + done.err, /out of range|internal error/, name);
    const shown = await world.cofferctl([...words, ...(asked[name] ?? [])]);
    t.notOk(
      [...shown.out].some((letter) => letter < ' ' && letter !== '\n' && letter !== '\t'),
      `${name} shows no control character`,
    );
  }
  const indicators = join(world.directory, 'indicators.csv');
  writeFileSync(indicators, '127.0.0.1\n0.0.0.0\n2001:db8::/32\nSSH-2.0-impostor\n');
  const hunted = await world.cofferctl(['incident', 'hunt', '--ioc', indicators, '--json']);
  t.equal(hunted.code, 1, `found: ${hunted.err}`);
  t.match(hunted.out, /127\.0\.0\.1/, 'and who came is found');
  const pack = await world.cofferctl([
    'incident',
    'pack',
    '--node',
    'partner-1',
    '--aware',
    '1h',
    '--out',
    join(world.directory, 'pack'),
  ]);
  t.equal(pack.code, 0, pack.err);
  const assured = await world.cofferctl([
    'incident',
    'assure',
    '--node',
    'partner-1',
    '--since',
    '1d',
    '--out',
    join(world.directory, 'assured'),
  ]);
  t.equal(assured.code, 0, assured.err);
  const verified = await world.cofferctlJson<{ verdict: string; findings: unknown[] }>(['ledger', 'verify']);
  t.equal(verified.verdict, 'good', JSON.stringify(verified.findings));
}

type Words = {
  readonly token: string;
  readonly leaving: string;
  readonly download: string;
  readonly upload: string;
  readonly customer: string;
};

/** One valid call of each operation, in which a value is replaced. */
const good = ({
  token,
  leaving,
  download,
  upload,
  customer,
}: Words): { readonly [K in keyof typeof edgeToWarden]: unknown } => {
  const extent = { index: 0, objectId: 'a'.repeat(32), bytes: 10, sealedBytes: 100, inline: 'AAAA' };
  const connection = randomUUID();
  const source = { address: '192.0.2.9', port: 1 };
  const path = ['deposit', 'x'];
  const evidence = { type: 'public-key', algorithm: 'ssh-ed25519', key: 'AAAA', signature: 'AAAA' };
  return {
    'lease.renew': { sessions: 1, epoch: 1, active: [{ session: randomUUID(), quietMs: 1 }] },
    'exchange.sign': transcript('00'.repeat(8)),
    'exchange.prove-host-keys': { token, hostKeys: ['AAAA'] },
    'login.attempt': { connection, source, username: 'acme', evidence },
    'login.abandon': { connection },
    'console.run': { token, line: 'whoami' },
    'console.input': { token, text: '123456' },
    'self-test.begin': { key: randomBytes(51).toString('base64') },
    'self-test.code': {},
    'self-test.report': { checks: [{ check: 'cap', bites: false, text: 'x' }] },
    'tree.stat': { token, path },
    'tree.space': { token, path },
    'tree.list': { token, path: ['deposit'], after: 'a', limit: 10 },
    'tree.remove': { token, path },
    'tree.rename': { token, from: path, to: ['deposit', 'y'], replace: false },
    'tree.make-directory': { token, path: ['deposit', 'd'] },
    'tree.remove-directory': { token, path: ['deposit', 'd'] },
    'tree.set-times': { token, path, modifiedAt: 1 },
    'upload.open': { token, path, continue: false, exclusive: false },
    'upload.offer': { token, path: ['deposit', 'offered'], continue: false, exclusive: false },
    'upload.begin': { token, upload: randomUUID(), path: ['deposit', 'begun'], standing: 0 },
    'upload.put': {
      token,
      upload: randomUUID(),
      whole: true,
      size: 10,
      sha256: 'a'.repeat(64),
      modifiedAt: 1,
      extent: { objectId: 'a'.repeat(32), bytes: 10, sealedBytes: 100, inline: 'AAAA' },
    },
    'upload.begin-extent': { token, upload },
    'upload.seal-extent': { token, upload, extent },
    'upload.verify-extent': { token, upload, index: 0 },
    'upload.rewrite': { token, upload, cut: false },
    'upload.base-extent': { token, upload, offset: 0 },
    'upload.close': { token, upload, whole: true, size: 10, sha256: 'a'.repeat(64), modifiedAt: 1, lastExtent: extent },
    'upload.interrupt': { token, upload: randomUUID(), lastExtent: extent },
    'download.open': { token, path: ['collect', 'statement'] },
    'download.locate': { token, download, offset: 0 },
    'download.grant': { token, download, index: 0 },
    'flow.permit': { token, customer, direction: 'out', bytes: 1 },
    'download.close': { token, download: randomUUID(), sentBytes: 1, by: 'client' },
    'session.end': { token: leaving, reason: 'idle', bytesIn: 0, bytesOut: 0 },
    // Another run: whatever the former one left open is over.
    'node.hello': { protocol: 1, startId: randomUUID(), nativeCipher: true },
  };
};

/** Every copy of `value` in which one leaf is something else. */
function* replaced(value: unknown): Generator<unknown> {
  if (typeof value !== 'object' || value === null) {
    yield* extremes;
    return;
  }
  for (const [name, one] of Object.entries(value))
    for (const other of replaced(one)) {
      const copy: Record<string, unknown> | unknown[] = Array.isArray(value) ? [...value] : { ...value };
      (copy as Record<string, unknown>)[name] = other;
      yield copy;
    }
}

test('every value at its extremes, from a compromised edge: scope, pack, hunt, verify and every report answer', async (t) => {
  const world = await startWorld(t, { env: wideFaultsEnv });
  const local = join(world.directory, 'local');
  writeFileSync(local, randomBytes(100_000));
  t.equal(
    (await world.sftp('processor', [`put ${local} globex/collect/statement`, `put ${local} globex/collect/other`]))
      .code,
    0,
  );
  const owner = await ownerOf(t, world);
  const edge = await TakenEdge.take(t, world);
  const { peer } = edge;
  const token = await edge.login('globex-batch');
  const path = ['collect', 'statement'];
  const open = () => peer.call('download.open', { token, path });

  // What it states to have sent: more than ever existed, where a key left and where none did.
  for (let i = 0; i < 2; i += 1) {
    const { download } = await open();
    await peer.call('download.grant', { token, download, index: 0 });
    await peer.call('download.close', { token, download, sentBytes: beyond, by: 'client' });
  }
  const { download: honest } = await open();
  await peer.call('download.grant', { token, download: honest, index: 0 });
  await peer.call('download.close', { token, download: honest, sentBytes: 250_000, by: 'client' });
  const without = await peer.call('download.open', { token, path: ['collect', 'other'] });
  await peer.call('download.close', { token, download: without.download, sentBytes: beyond, by: 'client' });
  const { rows: closed } = await owner.query<{ bytes: string }>(
    "select bytes from ledger where kind = 'download.closed' order by id",
  );
  const [first, second, true_, ...none] = closed.map((row) => Number(row.bytes));
  for (const bytes of [first, second])
    t.ok((bytes ?? 0) > 0 && (bytes ?? 0) < 2 ** 34 * 600, `no more than a wire carries: ${bytes}`);
  t.equal(true_, 250_000, 'what is possible is kept as it is said: a client may read a part again');
  t.same(none, [], 'nothing was sent of what no key left for');
  const { rows: alarms } = await owner.query("select subject from alert where kind = 'edge.impossible-word'");
  t.same(alarms, [{ subject: 'partner-1' }]);
  const scope = await world.cofferctlJson<Scope>(['incident', 'scope', '--node', 'partner-1']);
  t.match(
    scope.files,
    [{ path: '/statement', certainty: 'certain', releasedBytes: 100_000 }],
    'the file that was read, and no other',
  );
  t.equal(scope.totals.sentBytes, (first ?? 0) + (second ?? 0) + 250_000);

  // Guesses: the address is valid, and the identification of the client is in the transcript; nothing else is examined.
  const examined = async (): Promise<number> =>
    Number((await owner.query('select coalesce(sum(failures), 0) as n from login_penalty')).rows[0]?.n);
  const guess = { username: 'acme', evidence: { type: 'password', password: `abcdefgh-${'a'.repeat(32)}` } } as const;
  const { connection } = await edge.exchange();
  const source = { address: '192.0.2.1', port: 1 };
  const none_ = await examined();
  for (const [why, params] of [
    ['a NUL in the program', { connection, source, ...guess, clientIdentification: 'x\u0000' }],
    ['no address', { connection, source: { address: 'not-an-address', port: 1 }, ...guess }],
    ['an address with a zone', { connection, source: { address: 'fe80::1%eth0', port: 1 }, ...guess }],
    ['an empty address', { connection, source: { address: '', port: 1 }, ...guess }],
    ['a port that cannot be', { connection, source: { ...source, port: 65_536 }, ...guess }],
  ] as const)
    t.same(await edge.say('login.attempt', params), { code: 'invalid' }, why);
  t.equal(await examined(), none_, 'none of them was examined');
  t.match(
    await edge.say('login.attempt', { connection, source, ...guess }),
    { result: { outcome: 'refused' } },
    'the twin is',
  );
  const { rows: refused } = await owner.query(
    "select host(source) as source, client from ledger where kind = 'login.refused'",
  );
  t.same(refused, [{ source: '192.0.2.1', client: 'SSH-2.0-impostor' }], 'and it is on record');

  // A guess that cannot be recorded is refused, and nothing more is examined on that connection.
  const other = await edge.exchange();
  await owner.query('revoke insert on ledger_fresh from cofferdam_warden');
  const unrecorded = await edge.say('login.attempt', { connection: other.connection, source, ...guess });
  await owner.query('grant insert on ledger_fresh to cofferdam_warden');
  t.match(unrecorded, { code: /bug|unavailable/ }, 'no record, no answer');
  t.match(await edge.say('login.attempt', { connection: other.connection, source, ...guess }), {
    result: { outcome: 'closed' },
  });

  // Every value of every operation, replaced by an impossible one.
  const { upload, customer } = await peer.call('upload.open', {
    token,
    path: ['deposit', 'own'],
    continue: false,
    exclusive: false,
  });
  const { download } = await open();
  await peer.call('download.grant', { token, download, index: 0 });
  const leaving = await edge.login('globex-batch');
  const calls = good({ token, leaving, download, upload, customer });
  t.same(Object.keys(calls).sort(), Object.keys(edgeToWarden).sort(), 'of every operation');
  const codes: Record<string, number> = {};
  const defects: string[] = [];
  for (const [op, params] of Object.entries(calls)) {
    const variants = [...replaced(params)];
    for (let at = 0; at < variants.length; at += 64)
      for (const [i, said] of (
        await Promise.all(variants.slice(at, at + 64).map((one) => edge.say(op, one)))
      ).entries()) {
        const code = 'code' in said ? said.code : 'answered';
        codes[code] = (codes[code] ?? 0) + 1;
        if (code === 'bug' || code === 'unavailable')
          defects.push(`${op} ${code} ${JSON.stringify(variants[at + i]).slice(0, 300)}`);
      }
  }
  t.comment(JSON.stringify(codes));
  t.same(defects, [], 'no call was a defect, and the warden went on');
  t.ok((codes.invalid ?? 0) > 2000, 'what cannot be is refused by its form');
  const last = await TakenEdge.take(t, world);
  const end = await last.login('globex-batch');
  await last.peer.call('session.end', { token: end, reason: 'client-closed', bytesIn: beyond, bytesOut: beyond });
  await everythingAnswers(t, world);
  const after = await world.cofferctlJson<Scope>(['incident', 'scope', '--account', 'globex-batch']);
  t.ok(
    after.sessions.every(({ bytesIn, bytesOut }) => (bytesIn ?? 0) < 2 ** 34 * 600 && (bytesOut ?? 0) < 2 ** 34 * 600),
    'no session moved more than a wire carries',
  );
});

test('what an edge can make the warden store is bounded; whatever leaves an entry costs an item', async (t) => {
  const world = await startWorld(t, {
    limits: {
      pendingExtentsPerUploadMax: 4,
      directoriesPerFolderMax: 3,
      unpaidEntriesAtOnce: 1,
      unpaidEntriesPerMinute: 1,
    },
    env: { COFFERDAM_PER_NODE: JSON.stringify({ verdicts: { atOnce: 3, perMinute: 1 } }) },
  });
  const owner = await ownerOf(t, world);
  const count = async (text: string): Promise<number> =>
    Number(Object.values((await owner.query(text)).rows[0] ?? {})[0]);
  await asWarden(world, "update folder set directories_allowed = true where name = 'deposit'");
  const entries = 'select count(*) from ledger where session_id is not null and kind not like $$session.%$$';
  const spent =
    'select sum(b.total_items) from budget b join credential c on c.id = b.credential_id join account a on a.id = c.account_id where a.name = $$globex-batch$$';

  const local = join(world.directory, 'local');
  writeFileSync(local, randomBytes(1000));
  t.equal((await world.sftp('processor', [`put ${local} globex/collect/statement`])).code, 0);

  // The honest twin first: stock sftp over an empty tree.
  const lines = ['ls', 'ls deposit', 'mkdir deposit/a', 'mkdir deposit/b', 'ls -l deposit/a', 'rmdir deposit/b'];
  const before = await count(spent);
  const done = await world.sftp('globex-batch', lines);
  t.equal(done.code, 0, done.err);
  t.ok((await count(spent)) - before < 30, 'and it costs a handful of a hundred thousand');

  const edge = await TakenEdge.take(t, world);
  const token = await edge.login('globex-batch');
  t.equal((await world.sftp('processor', ['ls globex/collect'])).code, 0, 'the other plane');
  const costs = async (op: string, params: object): Promise<void> => {
    const [had, paid] = [await count(entries), await count(spent)];
    const said = await edge.say(op, { token, ...params });
    t.ok('result' in said, `${op}: ${JSON.stringify(said)}`);
    const written = (await count(entries)) - had;
    t.ok(written >= 1, `${op} leaves an entry`);
    t.ok((await count(spent)) - paid >= written, `${op} costs an item for each of its ${written} entries`);
  };
  await costs('tree.list', { path: ['deposit', 'a'], limit: 100 });
  await costs('tree.list', { path: ['deposit'], after: 'zzz', limit: 100 });
  // So many files are opened by a look, which leaves nothing (decision 69).
  const unmoved = await count(entries);
  const looks = await Promise.all(
    Array.from({ length: 256 }, () => edge.say('download.open', { token, path: ['collect', 'statement'] })),
  );
  t.ok(looks.every((said) => 'result' in said));
  t.equal(await count(entries), unmoved, 'a look leaves no entry');
  // One opening that was not read yet has a place; everything beside it pays.
  t.ok('result' in (await edge.say('download.open', { token, path: ['collect', 'statement'] })));
  await costs('download.open', { path: ['collect', 'statement'] });
  const tried = await count(spent);
  const none = await edge.say('download.open', { token, path: ['collect', 'no-such-file'] });
  t.equal('code' in none && none.code, 'not-found');
  t.equal(await count(spent), tried + 1, 'a name that is tried costs a name');
  await costs('console.run', { line: 'receipt deposit/none' });
  await costs('tree.make-directory', { path: ['deposit', 'c'] });
  await costs('tree.remove-directory', { path: ['deposit', 'c'] });
  await costs('upload.open', { path: ['deposit', 'x'], continue: false, exclusive: false });
  await costs('tree.rename', { from: ['deposit', 'x'], to: ['deposit', 'y'], replace: false });
  await costs('tree.remove', { path: ['deposit', 'y'] });

  await edge.peer.call('tree.make-directory', { token, path: ['deposit', 'd1'] });
  const many = await Promise.all(
    Array.from({ length: 10 }, (_, i) => edge.say('tree.make-directory', { token, path: ['deposit', `m${i}`] })),
  );
  t.equal(
    many.filter((said) => 'result' in said).length,
    1,
    'directories of a folder, ten asked for at once: the third is made',
  );
  t.equal(many.filter((said) => 'code' in said && said.code === 'over-limit').length, 9);

  const { upload } = await edge.peer.call('upload.open', {
    token,
    path: ['deposit', 'z'],
    continue: false,
    exclusive: false,
  });
  const begun = await Promise.all(Array.from({ length: 40 }, () => edge.say('upload.begin-extent', { token, upload })));
  t.equal(begun.filter((said) => 'result' in said).length, 3, 'with the first one four extents are begun');
  t.ok(begun.every((said) => 'result' in said || said.code === 'over-limit'));
  t.equal(await count(`select count(*) from pending_extent where upload_id = '${upload}'`), 4);

  const keys = () =>
    count('select count(*) from credential c join account a on a.id = c.account_id and a.is_self_test');
  const key = (): { readonly key: string } => ({ key: Buffer.from(new UserKey().blob).toString('base64') });
  const [own, had] = [key(), await keys()];
  t.match(await edge.say('self-test.begin', own), { result: { account: 'self-test.partner-1' } });
  const begins = await Promise.all(Array.from({ length: 100 }, () => edge.say('self-test.begin', key())));
  t.same(
    [...new Set(begins.map((said) => ('code' in said ? said.code : 'answered')))].sort(),
    ['conflict', 'over-limit'],
    'one key a run',
  );
  t.equal((await keys()) - had, 1);

  const report = { checks: [{ check: 'cap', bites: false, text: 'x' }] };
  const reports = await Promise.all(Array.from({ length: 50 }, () => edge.say('self-test.report', report)));
  t.equal(reports.filter((said) => 'result' in said).length, 3, 'verdicts');
  t.equal(await count("select count(*) from ledger where kind = 'self-test.failed'"), 3);
  const { rows: alarms } = await owner.query(
    "select subject, severity, count::int from alert where kind = 'node.over-allowance' order by subject",
  );
  t.same(alarms, [
    { subject: 'partner-1/selfTestKeys', severity: 'critical', count: 1 },
    { subject: 'partner-1/verdicts', severity: 'critical', count: 1 },
  ]);
  t.equal((await world.sftp('processor', ['ls globex/collect'])).code, 0, 'the other plane goes on');
});
