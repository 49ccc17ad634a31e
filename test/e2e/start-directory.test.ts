// Where an account starts: in the folder that operators name, in its only folder, or at the root; with OpenSSH's sftp,
// and with what clients send themselves.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { sftpStatus } from '../../server/domain/errors.ts';
import { RawSftp } from '../support/raw-sftp.ts';
import { run, startWorld } from '../support/world.ts';

const reason = ['--reason', 'test'];

test('an account starts where operators let it, and puts a file there right after the login', async (t) => {
  const world = await startWorld(t);
  const local = join(world.directory, 'pay.xml');
  writeFileSync(local, 'pay');
  const pwd = async (account: string): Promise<string | undefined> =>
    /Remote working directory: (\S+)/.exec((await world.sftp(account, ['pwd'])).out)?.[1];
  const set = async (...args: readonly string[]): Promise<void> => {
    const done = await world.cofferctl(['account', 'set', ...args, ...reason]);
    t.equal(done.code, 0, done.err);
  };
  const starts = async (account: string): Promise<string | undefined> =>
    /^starts in +(.*)$/m.exec((await world.cofferctl(['account', 'show', account])).out)?.[1];

  t.equal(await pwd('acme-batch'), '/', 'of two folders none is meant');
  t.equal(await starts('acme-batch'), '/');
  const refused = await world.sftp('acme-batch', [`put ${local} pay.xml`]);
  t.match([refused.code, refused.err], [1, /files go into deposit\//], 'and the root takes no file');

  const toDeposit = ['acme-batch', '--start', 'acme/deposit'];
  const alone = await world.cofferctlAlone(['account', 'set', ...toDeposit, ...reason, '--execute']);
  t.match(alone.out, /^proposed as change/, 'a folder takes two operators');
  await set(...toDeposit);
  t.equal(await starts('acme-batch'), '/deposit');
  t.equal(await pwd('acme-batch'), '/deposit');
  const put = await world.sftp('acme-batch', [
    `put ${local} pay.xml`,
    'ls -1',
    `put ${local} /deposit/absolute.xml`,
    'cd /',
    'ls -1',
    `put ${local} deposit/from-the-root.xml`,
  ]);
  t.equal(put.code, 0, put.err);
  t.match(put.out, /^pay\.xml$[\s\S]*^collect\/?$[\s\S]*^deposit\/?$/m);
  const raw = await RawSftp.connect(world, 'acme-batch');
  for (const [path, size] of [
    ['pay.xml', 3],
    ['./absolute.xml', 3],
    ['../deposit/from-the-root.xml', 3],
    ['/deposit/pay.xml', 3],
    ['/pay.xml', undefined],
    ['deposit/pay.xml', undefined],
  ] as const)
    t.equal(await raw.size(path), size, path);
  // A name that is looked up by another spelling of the same path while the file is being written.
  const handle = await raw.open('small.xml', 2 | 8 | 16);
  t.match(await raw.write(handle, 0, Buffer.from('small')), { code: sftpStatus.OK });
  t.ok(await raw.exists('/deposit/small.xml'));
  t.match(await raw.resizeName('small.xml', 5), { code: sftpStatus.OK });
  t.match(await raw.close(handle), { code: sftpStatus.OK });
  await set('acme', '--start', 'acme/deposit');
  t.equal((await world.sftp('acme', [`put ${local} person.xml`])).code, 0);
  const receipt = await run(
    'ssh',
    [...world.sftpArguments('acme').map((one) => (one === '-P' ? '-p' : one)), 'receipt', 'person.xml'],
    { env: await world.sftpEnvironment('acme') },
  );
  t.match(receipt.out, /"path":"\/deposit\/person\.xml"/, `the console resolves it in the same way: ${receipt.err}`);

  await set('acme-batch', '--take', 'acme/deposit');
  t.equal(await pwd('acme-batch'), '/', 'what it may not use any more is no start');
  t.match(await starts('acme-batch'), /acme\/deposit was set, and it may do nothing there/);
  const one = ['account', 'set', 'acme-batch', '--start', 'root', ...reason, '--execute'];
  t.match((await world.cofferctlAlone(one)).out, /account changed/, 'the root takes one operator');
  await set('acme-batch', '--give', 'acme/deposit');
  t.equal(await pwd('acme-batch'), '/');

  await set('acme-batch', '--start', 'usual', '--take', 'acme/collect');
  t.equal(await pwd('acme-batch'), '/deposit', 'its only folder');
  t.equal(await starts('acme-batch'), '/deposit (its only folder)');
  await set('acme-batch', '--give', 'acme/collect', '--take', 'acme/deposit');
  t.equal(await pwd('acme-batch'), '/', 'who only collects starts at the root');

  await set('processor', '--start', 'globex/collect');
  t.equal(await pwd('processor'), '/globex/collect', 'an account of ours');
  t.equal((await world.sftp('processor', [`put ${local}`])).code, 0);
  t.match((await world.sftp('globex', ['ls -1 collect'])).out, /pay\.xml/);
  t.match(
    (await world.cofferctl(['account', 'set', 'processor', '--start', 'globex/none', ...reason])).err,
    /customer globex has no folder none/,
  );
  t.match(
    (await world.cofferctl(['account', 'set', 'processor', '--start', 'globex', ...reason])).err,
    /--start takes root, usual or a folder/,
  );
  t.match((await world.cofferctl(['ledger', 'verify'])).out, /good/i);
});
