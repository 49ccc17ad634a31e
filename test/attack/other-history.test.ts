// T-27: a database with a history that differs from what was witnessed, and no fewer heads. Nothing is served. Two
// operators can let it continue, once, by a release that names what it gives up; a release that somebody else wrote, or
// that names something else, gives up nothing.
import { execFileSync } from 'node:child_process';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { parseNote } from '../../server/domain/ledger/checkpoint.ts';
import { DebianServer } from '../support/debian-server.ts';
import { newestNote, witnessed } from '../support/verified-record.ts';
import { startWorld, type World } from '../support/world.ts';

type Freeze = {
  readonly freeze: string;
  readonly why: string;
  readonly text: string;
  readonly era: number;
  readonly witnessedSize: number;
};
type Status = { readonly era: number; readonly heads: number; readonly freeze: Freeze | null };
const status = (world: World): Promise<Status> => world.cofferctlJson<Status>(['ledger', 'status']);

async function collect(t: Test, world: World, name: string): Promise<void> {
  const local = join(world.directory, name);
  writeFileSync(local, name);
  t.equal((await world.sftpWhenServed('acme-batch', [`put ${local} deposit/${name}`])).code, 0, `${name} is put`);
}

test('a database with another history is frozen as diverged, and a release that names what it gives up lets it continue', async (t) => {
  const server = await DebianServer.start(t);
  await server.query('create database cofferdam');
  const world = await startWorld(t, { env: { DATABASE_URL: server.url('cofferdam') } });
  const witness = join(world.directory, 'witness');
  await collect(t, world, 'before');
  await witnessed(world);
  await world.stop();
  const dump = await server.dump('cofferdam', 'fork');
  // With its owner: the warden is another user than this test.
  execFileSync('cp', ['-a', witness, `${witness}.fork`]);

  // The one history.
  await world.start();
  await collect(t, world, 'one-way');
  await witnessed(world);
  await world.stop();
  const { size } = parseNote((await newestNote(witness)) ?? '').checkpoint;

  // Database and witness as they were before: this machine remembers what it signed.
  await server.restore('cofferdam', dump);
  renameSync(witness, `${witness}.one-way`);
  execFileSync('cp', ['-a', `${witness}.fork`, witness]);
  await world.start();
  t.match(await status(world), {
    freeze: { why: 'behind', text: /^this warden, before it was started, has a checkpoint of / },
  });
  t.not((await world.sftp('acme-batch', ['ls'])).code, 0, 'nobody is served');
  await world.stop();

  // The other history, on a machine that knows nothing of the first one, with a witness that does not either; until it
  // has more heads.
  rmSync(join(world.directory, 'run', 'record', 'memory.json'));
  await server.restore('cofferdam', dump);
  rmSync(witness, { recursive: true });
  renameSync(`${witness}.fork`, witness);
  await world.start();
  for (let i = 0; (await status(world)).heads <= size; i += 1) await collect(t, world, `other-way-${i}`);
  await witnessed(world);
  await world.stop();

  rmSync(witness, { recursive: true });
  renameSync(`${witness}.one-way`, witness);
  await world.start();
  const { freeze, era } = await status(world);
  t.match(freeze, { why: 'diverged', text: /it is not the same record/, witnessedSize: size });
  t.not((await world.sftp('acme-batch', ['ls'])).code, 0, 'nobody is served');

  const alone = await world.cofferctlAlone(['ledger', 'release', freeze?.freeze ?? '', '--reason', 'x', '--execute']);
  t.match([alone.code, alone.out], [0, /^proposed as change/], 'one operator proposes');
  t.not((await status(world)).freeze, null, 'and is not enough');
  const both = await world.cofferctl([
    'ledger',
    'release',
    freeze?.freeze ?? '',
    '--reason',
    'the other way is the true one',
  ]);
  t.equal(both.code, 0, both.err);
  await collect(t, world, 'released');
  t.match(await status(world), { era: era + 1, freeze: null }, 'served, and not frozen again by the same witness');
  await witnessed(world);
  t.equal(parseNote((await newestNote(witness)) ?? '').checkpoint.era, era + 1);
  await world.stop();
  await world.start();
  await collect(t, world, 'after-a-restart');
  t.equal((await status(world)).freeze, null);
});
