// Host keys that stay in the warden: rekeys by bytes and by time, both key types, a rotation that clients follow, and
// the report on key exchanges.
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, chownSync, copyFileSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { RawClient } from '../support/raw-client.ts';
import { type Done, run, sha256File, startWorld, type World } from '../support/world.ts';

function sftpWith(world: World, options: readonly string[], lines: readonly string[]): Promise<Done> {
  const all = world.sftpArguments('acme-batch').filter((one) => one !== '-q');
  return run(
    'sftp',
    [...options.flatMap((one) => ['-o', one]), ...all.slice(0, -1), '-v', '-b', '-', all.at(-1) ?? ''],
    {
      input: `${lines.join('\n')}\n`,
    },
  );
}
const count = (text: string, what: RegExp): number => [...text.matchAll(what)].length;

test('new keys by bytes and by time; the content stays whole', async (t) => {
  const world = await startWorld(t, { limits: { rekeyBytes: 4_000_000, rekeyMs: 3000 } });
  const path = join(world.directory, 'file');
  writeFileSync(path, Buffer.alloc(80_000_000, 'cofferdam'));
  const done = await sftpWith(world, [], [`put ${path} deposit/file`]);
  t.equal(done.code, 0, done.err.slice(-300));
  // What is under way when a rekey begins still flows, so there are far fewer than 20 on a busy machine.
  const exchanges = count(done.err, /kex: algorithm:/g);
  t.ok(exchanges >= 4, `${exchanges} key exchanges for 80 MB at 4 MB each`);
  const [file] = (await world.cofferctlJson<{ files: { sha256: string }[] }>(['file', 'list', 'acme'])).files;
  t.equal(file?.sha256, await sha256File(path));
  const key = readFileSync(world.keyFile('acme-batch'), 'utf8');
  const idle = await RawClient.open({ port: world.demo.partner.port });
  t.ok(await idle.login('acme-batch', key));
  for (let waited = 0; idle.handshakes < 2 && waited < 30_000; waited += 100)
    await new Promise((resolve) => setTimeout(resolve, 100));
  t.ok(idle.handshakes >= 2, 'an idle session gets new keys by time');
  t.ok(await idle.sftp(), 'and works on');
  idle.close();
});

test('two host keys at once; the next one is announced, proved, and takes over without a warning', async (t) => {
  const world = await startWorld(t);
  const known = join(world.directory, 'known');
  const old = join(world.directory, 'known-old');
  for (const algorithm of ['ssh-ed25519', 'ecdsa-sha2-nistp256']) {
    const done = await sftpWith(world, [`HostKeyAlgorithms=${algorithm}`], ['pwd']);
    t.equal(done.code, 0, algorithm);
    t.match(done.err, new RegExp(`host key algorithm: ${algorithm}`));
  }

  const directory = join(world.directory, 'secrets', 'warden', 'host-keys');
  const { uid, gid } = statSync(join(directory, 'ed25519.pem'));
  const next = join(directory, 'ed25519.next.pem');
  writeFileSync(next, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
  chmodSync(next, 0o400);
  chownSync(next, uid, gid);
  const restartWarden = async (): Promise<void> => {
    const [before] = world.pidsOf('warden');
    world.kill('warden');
    for (let waited = 0; waited < 30_000; waited += 100) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const [now] = world.pidsOf('warden');
      if (now === undefined || now === before) continue;
      const client = await RawClient.open({ port: world.demo.partner.port });
      const isBack = await client.login('globex-batch', readFileSync(world.keyFile('globex-batch'), 'utf8'));
      client.close();
      if (isBack) return;
    }
    throw new Error('the warden did not come back');
  };
  await restartWarden();
  const learning = [
    'UpdateHostKeys=yes',
    'HostKeyAlgorithms=ssh-ed25519',
    `UserKnownHostsFile=${known}`,
    'GlobalKnownHostsFile=/dev/null',
  ];
  const first = [
    'UpdateHostKeys=no',
    'StrictHostKeyChecking=accept-new',
    'HostKeyAlgorithms=ssh-ed25519',
    `UserKnownHostsFile=${known}`,
  ];
  t.equal((await sftpWith(world, first, ['pwd'])).code, 0);
  copyFileSync(known, old);
  const learned = await sftpWith(world, learning, ['ls', '!sleep 1', 'ls']);
  t.equal(learned.code, 0);
  t.equal(
    count(readFileSync(known, 'utf8'), /ssh-ed25519/g),
    2,
    `the client has proof of the next key and keeps it: ${learned.err
      .split('\n')
      .filter((line) => line.includes('hostkeys'))
      .join('; ')}`,
  );
  renameSync(next, join(directory, 'ed25519.pem'));
  await restartWarden();
  const followed = await sftpWith(
    world,
    ['UpdateHostKeys=no', 'HostKeyAlgorithms=ssh-ed25519', `UserKnownHostsFile=${known}`],
    ['pwd'],
  );
  t.equal(followed.code, 0, 'after the rotation the client that learned goes on');
  t.notMatch(followed.err, /REMOTE HOST IDENTIFICATION HAS CHANGED/);
  const missed = await sftpWith(
    world,
    ['UpdateHostKeys=no', 'HostKeyAlgorithms=ssh-ed25519', `UserKnownHostsFile=${old}`],
    ['pwd'],
  );
  t.not(missed.code, 0, 'one that did not is warned: hence the overlap');

  const report = await world.cofferctlJson<{
    accounts: { account: string; withMlkem: number; withoutMlkem: number; lastWithoutClient: string }[];
  }>(['report', 'key-exchange']);
  const batch = report.accounts.find((one) => one.account === 'acme-batch');
  t.ok((batch?.withoutMlkem ?? 0) + (batch?.withMlkem ?? 0) >= 4, 'logins are counted by key exchange');
  t.match((await world.cofferctl(['report', 'key-exchange'])).out, /ACCOUNT +CUSTOMER +WITH ML-KEM/);
});
