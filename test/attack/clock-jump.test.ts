// T-27: a database whose clock jumps would open the windows of budgets anew and date the record wrongly: frozen, until two operators have looked.
import { join } from 'node:path';
import { test } from 'tap';
import { DebianServer } from '../support/debian-server.ts';
import { told, verifyRecord, witnessed } from '../support/verified-record.ts';
import { startWorld, type World } from '../support/world.ts';

type Status = { readonly freeze: { readonly freeze: string; readonly why: string; readonly text: string } | null };
const freezeOf = async (world: World): Promise<Status['freeze']> => (await world.cofferctlJson<Status>(['ledger', 'status'])).freeze;

test("the database's clock jumps a day, forwards and back: frozen; a few seconds are nothing", async (t) => {
  const server = await DebianServer.start(t, { hasClock: true });
  await server.query('create database cofferdam');
  const world = await startWorld(t, { env: { DATABASE_URL: server.url('cofferdam') } });
  const list = (): Promise<{ readonly code: number | null }> => world.sftp('acme-batch', ['ls']);
  t.equal((await list()).code, 0);
  const { key } = await witnessed(world);

  server.setClock('+5');
  const sealed = (await witnessed(world)).entries;
  t.equal((await world.sftpWhenServed('acme-batch', ['ls'])).code, 0);
  for (const end = Date.now() + 20_000; (await witnessed(world)).entries === sealed && Date.now() < end; );
  t.equal(await freezeOf(world), null, 'twin: clocks are set by some seconds now and then');

  let said = world.log.length;
  server.setClock('+1d');
  t.ok(await world.logged(/"msg":"frozen: the database's clock jumped by 86\d\d\d s/, said), 'a day forwards');
  t.not((await list()).code, 0, 'nobody is let in');
  const freeze = await freezeOf(world);
  t.equal(freeze?.why, 'clock', freeze?.text ?? 'nothing is frozen');
  server.setClock('+0');
  t.not((await list()).code, 0, 'nor when it is right again: what was written meanwhile?');
  t.equal((await freezeOf(world))?.freeze, freeze?.freeze);
  const released = await world.cofferctl([
    'ledger',
    'release',
    freeze?.freeze ?? '',
    '--reason',
    'the time server was wrong; it is right again',
  ]);
  t.equal(released.code, 0, `two operators let it go on ${released.err}`);
  t.equal((await world.sftpWhenServed('acme-batch', ['ls'])).code, 0, 'and customers are served');

  said = world.log.length;
  server.setClock('-1d');
  t.ok(await world.logged(/"msg":"frozen: the database's clock jumped by -86\d\d\d s/, said), 'a day back');
  t.not((await list()).code, 0);
  server.setClock('+0');
  const again = await freezeOf(world);
  t.equal((await world.cofferctl(['ledger', 'release', again?.freeze ?? '', '--reason', 'as before'])).code, 0);
  t.equal((await world.sftpWhenServed('acme-batch', ['ls'])).code, 0);
  await witnessed(world);
  const { code, report } = await verifyRecord({ url: server.url('cofferdam'), key, witness: join(world.directory, 'witness') });
  t.match([code, report.newest?.era, report.lost], [0, 3, []], `the record is whole, in its third era ${told(report)}`);
});
