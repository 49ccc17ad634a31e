// The whole way of a file, from a first start on, and again after a restart.
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { isGenuine } from '../../admin-cli/file/receipt.ts';
import { run, sha256File, startWorld, type World } from '../support/world.ts';

const marker = randomBytes(24).toString('hex');
const pain001 = `<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"><CstmrCdtTrfInitn><GrpHdr><MsgId>${marker}</MsgId><NbOfTxs>1</NbOfTxs></GrpHdr></CstmrCdtTrfInitn></Document>\n`;
const nacha = `101 091000019 1234567802311230904A094101FIRST BANK             ACME                   ${marker.slice(0, 8)}\n`;
const camt053 = `<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><GrpHdr><MsgId>${marker}</MsgId></GrpHdr></BkToCstmrStmt></Document>\n`;
/** Several extents. */
const bigBytes = 100_000_000;

function* filesBelow(directory: string): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile()) yield path;
  }
}

function contains(path: string, needle: Buffer): boolean {
  const file = openSync(path, 'r');
  const step = 4 * 1024 * 1024;
  const buffer = Buffer.alloc(step + needle.length);
  try {
    for (let at = 0; at < statSync(path).size; at += step) {
      const count = readSync(file, buffer, 0, buffer.length, at);
      if (buffer.subarray(0, count).includes(needle)) return true;
    }
    return false;
  } finally {
    closeSync(file);
  }
}

/** Files of the gateway's own state in which these bytes occur. */
function findPlaintext(world: World, needle: Buffer): readonly string[] {
  return ['store', 'postgres'].flatMap((name) => {
    const directory = join(world.directory, name);
    try {
      return [...filesBelow(directory)].filter((path) => contains(path, needle));
    } catch {
      return [];
    }
  });
}

test('a first start: a bank delivers, the processor collects, a statement goes back, nobody else sees anything; a second start finds everything, a code is good once', async (t) => {
  const world = await startWorld(t, { isFresh: true });
  const local = join(world.directory, 'local');
  mkdirSync(local);
  const big = randomBytes(bigBytes);
  writeFileSync(join(local, 'pain.001.xml'), pain001);
  writeFileSync(join(local, 'payments.ach'), nacha);
  writeFileSync(join(local, 'big.bin'), big);
  writeFileSync(join(local, 'camt.053.xml'), camt053);
  const names = ['pain.001.xml', 'payments.ach', 'big.bin'];

  const delivered = await world.sftp('acme', [
    'cd deposit',
    ...names.map((name) => `put ${join(local, name)}`),
    'ls -l',
  ]);
  t.equal(delivered.code, 0, `delivered with key and code: ${delivered.err}`);
  t.ok(await world.logged(/"segments are sealed in place"/), 'by native code, also with the permissions of an edge');

  const collected = await world.sftp('processor', [
    'cd acme/deposit',
    ...names.map((name) => `get ${name} ${join(local, `got-${name}`)}`),
    `put ${join(local, 'camt.053.xml')} /acme/collect/camt.053.xml`,
  ]);
  t.equal(collected.code, 0, `the processor collected: ${collected.err}`);
  for (const name of names)
    t.equal(
      await sha256File(join(local, `got-${name}`)),
      await sha256File(join(local, name)),
      `${name} is what was sent`,
    );

  const statement = await world.sftp('acme', [`get collect/camt.053.xml ${join(local, 'got-camt.053.xml')}`]);
  t.equal(statement.code, 0, statement.err);
  t.equal(readFileSync(join(local, 'got-camt.053.xml'), 'utf8'), camt053, 'the statement arrives');

  for (const other of ['acme-2', 'acme-2-batch', 'globex-batch']) {
    const tries = [
      '/acme',
      '/acme/deposit',
      '/acme/deposit/pain.001.xml',
      '../acme/deposit',
      'deposit/pain.001.xml',
      'deposit/../../acme',
      '/deposit/big.bin',
      'collect/camt.053.xml',
    ];
    const seen = await world.sftp(other, [
      'ls',
      'ls deposit',
      'ls collect',
      ...tries.flatMap((path) => [`-ls ${path}`, `-get ${path} ${join(local, 'stolen')}`]),
    ]);
    t.equal(seen.code, 0, `${other} logs in: ${seen.err}`);
    const answers = seen.out.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('sftp>'));
    t.same(
      answers.map((line) => line.trim().split(/\s+/)),
      [['collect', 'deposit']],
      `${other} sees its own two empty folders and nothing else`,
    );
    t.notOk(readdirSync(local).includes('stolen'), `${other} got no byte`);
    t.notMatch(seen.err, new RegExp(world.directory), 'no path of the host in an answer');
  }

  t.same(findPlaintext(world, Buffer.from(marker)), [], 'no plaintext of a small file in store or database');
  t.same(findPlaintext(world, big.subarray(1_000_000, 1_000_048)), [], 'no plaintext of the large file in the store');
  const local2 = join(world.directory, 'store');
  t.ok(
    [...filesBelow(local2)].some((path) => statSync(path).size > 1_000_000),
    'the search looked at the sealed objects',
  );

  const { receipt, publicKey } = await world.cofferctlJson<{ receipt: string; publicKey: string }>([
    'file',
    'receipt',
    '--customer',
    'acme',
    '--path',
    '/deposit/big.bin',
  ]);
  t.ok(isGenuine(receipt, publicKey), 'the receipt verifies');
  t.match(receipt, await sha256File(join(local, 'big.bin')), 'and names the hash of what was sent');
  t.notOk(
    isGenuine(receipt.replace(`"size":${bigBytes}`, `"size":${bigBytes + 1}`), publicKey),
    'an altered receipt does not',
  );

  t.equal((await world.sftp('globex-batch', [`put ${join(local, 'camt.053.xml')} deposit/one.txt`])).code, 0);

  t.equal(await world.stop(), 0, 'stops cleanly');
  await world.start();
  const listed = await world.sftp('processor', ['ls globex/deposit']);
  t.match(listed.out, /one\.txt/, 'still there');
  const environment = await world.sftpEnvironment('globex');
  const args = world.sftpArguments('globex');
  const login = (): ReturnType<typeof run> =>
    run('sftp', [...args.slice(0, -1), '-o', 'NumberOfPasswordPrompts=1', '-b', '-', args.at(-1) ?? ''], {
      env: environment,
      input: 'pwd\n',
    });
  t.equal((await login()).code, 0, 'the code opens a session');
  t.not((await login()).code, 0, 'and no second one');
});
