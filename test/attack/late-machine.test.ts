// A machine that was down during a failover and its release comes back and knows a little more than the witness
// did: it serves, and says what was lost beyond what the release named.
import { execFileSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'tap';
import { parseNote } from '../../server/domain/ledger/checkpoint.ts';
import { copyDatabase, replaceDatabase } from '../support/database-copies.ts';
import { DebianServer } from '../support/debian-server.ts';
import { witnessed } from '../support/verified-record.ts';
import { startWorld } from '../support/world.ts';

type Status = {
  readonly era: number;
  readonly freeze: { readonly freeze: string; readonly why: string; readonly text: string } | null;
};

test('a machine that comes back after a failover that was released stops nobody', async (t) => {
  const server = await DebianServer.start(t);
  await server.query('create database cofferdam');
  const url = server.url('cofferdam');
  const world = await startWorld(t, { env: { DATABASE_URL: url } });
  const put = async (name: string): Promise<void> => {
    const local = join(world.directory, name);
    writeFileSync(local, name);
    t.equal((await world.sftpWhenServed('acme-batch', [`put ${local} deposit/${name}`])).code, 0, `${name} is put`);
  };
  const memory = join(world.directory, 'run', 'record', 'memory.json');
  const status = () => world.cofferctlJson<Status>(['ledger', 'status']);
  await put('before');
  await witnessed(world);
  await world.stop();
  await copyDatabase(url, 'copy');
  await world.start();
  await put('lost');
  await witnessed(world);
  await world.stop();
  // Machine A is gone, with what it signed last; its last notes did not reach the witness, and the standby did not get
  // its last heads.
  copyFileSync(memory, join(world.directory, 'memory-of-a'));
  const { size } = parseNote(JSON.parse(readFileSync(memory, 'utf8')).note).checkpoint;
  const place = join(world.directory, 'witness');
  for (const name of readdirSync(place)) {
    const lines = readFileSync(join(place, name), 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    const kept = lines.filter((line) => parseNote(JSON.parse(line)).checkpoint.size <= size - 2);
    execFileSync('sh', ['-c', `cat > "$0"`, join(place, name)], { input: kept.map((line) => `${line}\n`).join('') });
  }
  rmSync(memory);
  await replaceDatabase(url, 'copy', 'aside');
  await world.start();
  const { freeze } = await status();
  t.equal(freeze?.why, 'behind', String(freeze?.text));
  const released = await world.cofferctl(['ledger', 'release', freeze?.freeze ?? '', '--reason', 'failover']);
  t.equal(released.code, 0, released.err);
  await put('after');
  await witnessed(world);
  await world.stop();
  // Machine A comes back.
  execFileSync('sh', ['-c', `cat "$0" > "$1"`, join(world.directory, 'memory-of-a'), memory]);
  await world.start();
  await delay(2000);
  const now = await status();
  t.equal(now.freeze, null, String(now.freeze?.text));
  t.equal((await world.sftp('acme-batch', ['ls'])).code, 0, 'customers are served');
  const { alerts } = await world.cofferctlJson<{ alerts: readonly { kind: string; text: string }[] }>([
    'alert',
    'list',
  ]);
  t.match(
    alerts.filter((one) => one.kind === 'ledger.given-up'),
    [
      {
        text: /^more was given up than the release named: this warden, before it was started, has a checkpoint of \d+ heads, era 1/,
      },
    ],
    'and what nobody knew at the release is told',
  );
});
