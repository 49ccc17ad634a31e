// The record through the operators' own commands: sealed and witnessed within a second, verified as good, and a row
// that somebody changed is named.
import { createPrivateKey, randomBytes, sign } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { unclassified } from '../../server/domain/ledger/entry-kinds.ts';
import { run, startWorld } from '../support/world.ts';

type Status = {
  readonly entries: number;
  readonly unsealed: number;
  readonly heads: number;
  readonly witnessedSize: number;
  readonly verifierKeys: readonly string[];
};

test('what is done is sealed, witnessed and verified; what is changed is named', async (t) => {
  const world = await startWorld(t);
  const owner = new pg.Client({ connectionString: world.databaseUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  const witness = join(world.directory, 'witness');
  const content = join(world.directory, 'content');
  writeFileSync(content, randomBytes(5000));
  t.equal((await world.sftp('acme', [`put ${content} deposit/a.xml`, 'ls deposit'])).code, 0);
  t.equal((await world.sftp('processor', [`get acme/deposit/a.xml ${content}.got`])).code, 0);
  const kindsOf = async (): Promise<readonly string[]> =>
    (await owner.query<{ kind: string }>('select distinct kind from ledger_sealed order by kind')).rows.map(
      (row) => row.kind,
    );
  const isWhole = (kinds: readonly string[]): boolean =>
    kinds.includes('session.ended') && kinds.includes('download.closed');
  for (let tries = 0; tries < 300 && !isWhole(await kindsOf()); tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 100));
  t.match(
    new Set(await kindsOf()),
    new Set([
      'account.created',
      'download.closed',
      'download.opened',
      'extent.granted',
      'folder.listed',
      'login.partial',
      'session.ended',
      'session.opened',
      'upload.closed',
      'upload.opened',
    ]),
    'every step of the walks is there',
  );
  const { rows: opened } = await owner.query(
    "select credential, host(source) as source, source_port, client, node, plane, public from ledger where kind = 'session.opened' and plane = 'partner' limit 1",
  );
  t.match(opened[0], {
    credential: /^SHA256:/,
    source: '127.0.0.1',
    source_port: Number,
    client: /^SSH-2\.0-OpenSSH/,
    node: 'partner-1',
    public: {
      keyExchange: String,
      hostKey: String,
      cipherIn: /gcm|ctr/,
      cipherOut: /gcm|ctr/,
      proofs: ['public-key', 'totp'],
    },
  });

  const { rows: used } = await owner.query<{ kind: string; public: string[]; sensitive: string[] }>(
    `select kind, array(select distinct k from ledger l, jsonb_object_keys(l.public) k where l.kind = d.kind) as public,
       array(select distinct k from ledger l, jsonb_object_keys(l.sensitive) k where l.kind = d.kind) as sensitive from (select distinct kind from ledger) d`,
  );
  const named = (names: readonly string[]): object => Object.fromEntries(names.map((name) => [name, true]));
  t.same(
    used
      .map((row) => unclassified(row.kind, { public: named(row.public), sensitive: named(row.sensitive) }))
      .filter((fault) => fault !== undefined),
    [],
    'every field of every entry, whoever wrote it, is classified',
  );

  const status = await world.cofferctlJson<Status>(['ledger', 'status']);
  t.ok(
    status.entries > 50 && status.heads > 0 && status.witnessedSize >= status.heads - 3,
    'sealed, and witnessed up to the last breath',
  );
  t.match((await world.cofferctl(['ledger', 'status'])).out, /entries +\d+ in \d+ trees/);
  t.ok(readdirSync(witness).every((name) => /^checkpoints-\d{4}-\d\d-\d\d\.jsonl$/.test(name)));
  const key = join(world.directory, 'ledger.vkey');
  writeFileSync(key, `${status.verifierKeys.join('\n')}\n`);

  const good = await world.cofferctl(['ledger', 'verify', '--key', key]);
  t.equal(good.code, 0, good.out + good.err);
  t.match(good.out, /GOOD: every witnessed entry is what was sealed/);
  t.match((await world.cofferctl(['ledger', 'verify'])).out, /The key was told by the gateway itself/);
  t.match(good.out, /checkpoints of .*witness were read, every one of them/);
  t.match(
    good.out,
    /the verdict of the gateway\u2019s own admin process.*`cofferdam verify`/,
    'it says whose verdict it is',
  );
  // A witness with two contradicting notes, somewhere among many: a second root of one size, validly signed.
  const twice = join(world.directory, 'two-truths');
  const second = join(world.directory, 'second');
  await run('cp', ['-r', witness, twice]);
  await run('cp', ['-r', witness, second]);
  const [day = ''] = readdirSync(twice);
  const notes = readFileSync(join(twice, day), 'utf8').trimEnd().split('\n');
  const ledgerKey = createPrivateKey(readFileSync(join(world.directory, 'secrets', 'warden', 'ledger.key')));
  const forgedNote = (note: string): string => {
    const [, body = '', name = '', signed = ''] = /^(.*\n)\n\u2014 (\S+) (\S+)\n$/s.exec(note) ?? [];
    const other = body.replace(/\n[A-Za-z0-9+/]{43}=\n/, `\n${randomBytes(32).toString('base64')}\n`);
    const signature = Buffer.concat([
      Buffer.from(signed, 'base64').subarray(0, 4),
      sign(null, Buffer.from(other), ledgerKey),
    ]);
    return `${other}\n\u2014 ${name} ${signature.toString('base64')}\n`;
  };
  const middle = Math.floor(notes.length / 2);
  const many = [
    ...Array.from({ length: 400 }, () => notes[0] ?? ''),
    ...notes.toSpliced(middle, 0, JSON.stringify(forgedNote(JSON.parse(notes[middle] ?? '')))),
  ];
  writeFileSync(join(twice, day), `${many.join('\n')}\n`);
  for (const directories of [twice, `${second},${twice}`]) {
    const said = await world.cofferctl(['ledger', 'verify', '--key', key, '--witness', directories]);
    t.equal(said.code, 1);
    t.match(said.out, /NOT GOOD.*two truths: era 1 has two different checkpoints of size/s, directories);
  }
  const both = await world.cofferctl(['ledger', 'verify', '--key', key, '--witness', `${second},${witness}`]);
  t.equal(both.code, 0, both.out + both.err);
  const alone = async (): Promise<{ code: number | null; out: string }> => {
    const copy = join(world.directory, `witness-${randomBytes(4).toString('hex')}`);
    await run('cp', ['-r', witness, copy]);
    const dump = await run('psql', [
      world.databaseUrl,
      '-XAt',
      '-v',
      'FETCH_COUNT=10000',
      '-c',
      'select line from ledger_dump order by part, tree, position',
    ]);
    return run(process.execPath, ['verifier/ledger-verifier.mjs', 'dump', '--key', key, '--witness', copy, '-'], {
      input: dump.out,
    });
  };
  const clean = await alone();
  t.equal(clean.code, 0, clean.out);
  t.match(clean.out, /GOOD/);

  const stranger = '/nowhere';
  t.match((await world.cofferctl(['ledger', 'verify', '--witness', stranger])).err, /there is no witness/);
  const empty = join(world.directory, 'empty');
  await run('mkdir', [empty]);
  const blind = await world.cofferctl(['ledger', 'verify', '--witness', empty]);
  t.equal(blind.code, 1, 'without a checkpoint nothing is good');

  type Row = { readonly number: number; readonly kind: string; readonly account: string; readonly bytes: number };
  const search = async (options: readonly string[]): Promise<readonly Row[]> =>
    (await world.cofferctlJson<{ entries: readonly Row[] }>(['ledger', 'search', ...options])).entries;
  const closed = await search(['--kind', 'upload.closed', '--customer', 'acme', '--since', '1d']);
  t.match(closed, [{ kind: 'upload.closed', account: 'acme' }]);
  t.equal(closed.length, 1);
  t.same(await search(['--kind', 'upload.closed', '--account', 'processor']), []);
  t.match(
    (await world.cofferctl(['ledger', 'search', '--customer', 'other-bank'])).err,
    /no customer named other-bank/,
    'a name that nobody has is no answer',
  );
  t.ok(
    (await search(['--kind', 'upload', '--source', '127.0.0.0/8'])).length > 0,
    'a network finds logins, and what was done in their sessions',
  );
  t.same(await search(['--kind', 'upload', '--source', '192.0.2.0/24']), []);
  t.ok((await search(['--kind', 'login', '--source', '127.0.0.0/8', '--client-id', 'openssh'])).length > 0);
  t.equal((await search(['--limit', '3'])).length, 3);
  t.match(
    (await world.cofferctl(['ledger', 'search', '--kind', 'extent', '--account', 'processor'])).out,
    /extent\.granted/,
  );
  t.match((await world.cofferctl(['ledger', 'search', '--csv', '--limit', '1'])).out, /^number,at,kind,/);
  t.equal((await world.cofferctl(['ledger', 'search', '--source', 'nonsense'])).code, 2, 'a network is a network');

  const tail = world.cofferctl([
    'ledger',
    'tail',
    '--kind',
    'session.opened',
    '--account',
    'acme',
    '--count',
    '1',
    '--json',
  ]);
  let isSeen = false;
  const seen = tail.then((done) => {
    isSeen = true;
    return done;
  });
  for (let tries = 0; tries < 20 && !isSeen; tries += 1) await world.sftp('acme', ['ls']);
  const followed = await seen;
  t.equal(followed.code, 0, followed.err);
  t.match(JSON.parse(followed.out), { kind: 'session.opened', account: 'acme', number: Number });

  const one = String(closed[0]?.number);
  const shown = await world.cofferctl(['ledger', 'show', one]);
  t.equal(shown.code, 0, shown.out + shown.err);
  t.match(
    shown.out,
    /upload\.closed[\s\S]*sha256 .*\[public; [\s\S]*Its session began with entry [\s\S]*this entry is what was sealed/,
  );
  t.match((await world.cofferctl(['ledger', 'show', '999999999'])).err, /there is no entry 999999999/);
  t.equal((await world.cofferctl(['ledger', 'show', 'x'])).code, 2);

  // As the owner of the database, past every trigger.
  const { rows } = await owner.query<{ number: string; tree: string; position: string }>(
    "select number, tree, position from ledger_sealed where kind = 'extent.granted' order by number limit 1",
  );
  const [row] = rows;
  await owner.query('set session_replication_role = replica');
  await owner.query('update ledger_sealed set bytes = bytes + 1 where number = $1', [row?.number]);
  const bad = await world.cofferctl(['ledger', 'verify', '--key', key]);
  t.equal(bad.code, 1);
  const byName = new RegExp(
    `tree ${row?.tree} position ${row?.position} \\(entry number ${row?.number}\\): the entry was changed`,
  );
  t.match(bad.out, byName, 'the row is named');
  t.match((await alone()).out, byName, 'by whoever verifies without us, too');
  const forged = await world.cofferctl(['ledger', 'show', String(row?.number)]);
  t.equal(forged.code, 1);
  t.match(forged.out, /IT IS NOT WHAT WAS SEALED/);
  t.equal((await world.cofferctl(['ledger', 'show', one])).code, 0, 'no other entry is doubted');
  await owner.query('update ledger_sealed set bytes = bytes - 1 where number = $1', [row?.number]);
  t.equal((await world.cofferctl(['ledger', 'verify', '--key', key])).code, 0, 'and it is good again');
  t.ok(readFileSync(join(witness, readdirSync(witness)[0] ?? ''), 'utf8').includes('cofferdam/'));
});
