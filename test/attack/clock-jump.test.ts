// T-27: a database whose clock jumps would begin the windows of budgets anew and date the record wrongly. The record is
// frozen until two operators have examined it.
import { join } from 'node:path';
import { test } from 'tap';
import { DebianServer } from '../support/debian-server.ts';
import { told, verifyRecord, witnessed } from '../support/verified-record.ts';
import { startWorld, type World } from '../support/world.ts';

type Status = { readonly freeze: { readonly freeze: string; readonly why: string; readonly text: string } | null };
const freezeOf = async (world: World): Promise<Status['freeze']> =>
  (await world.cofferctlJson<Status>(['ledger', 'status'])).freeze;

test("the database's clock jumps a day, forwards and back: frozen; a few seconds do not matter", async (t) => {
  const server = await DebianServer.start(t, { hasClock: true });
  await server.query('create database cofferdam');
  // Examined so rarely that the operators are done between two looks.
  const world = await startWorld(t, { env: { DATABASE_URL: server.url('cofferdam') }, limits: { sealEveryMs: 4000 } });
  const list = (): Promise<{ readonly code: number | null }> => world.sftp('acme-batch', ['ls']);
  t.equal((await list()).code, 0);
  const { key } = await witnessed(world);

  server.setClock('+5');
  const sealed = (await witnessed(world)).entries;
  t.equal((await world.sftpWhenServed('acme-batch', ['ls'])).code, 0);
  for (const end = Date.now() + 20_000; (await witnessed(world)).entries === sealed && Date.now() < end; );
  t.equal(await freezeOf(world), null, 'twin: clocks are set by some seconds now and then');

  let said = world.log.length;
  await server.query('revoke insert on ledger_freeze from cofferdam_warden', 'cofferdam');
  server.setClock('+1d');
  t.ok(await world.logged(/"msg":"frozen: the database's clock jumped by 86\d\d\d s/, said), 'a day forwards');
  t.ok(await world.logged(/(could not be written[\s\S]*){2}/, said), 'a freeze that cannot be written');
  t.not((await list()).code, 0, 'lets nobody in, however the clock goes on');
  await server.query('grant insert on ledger_freeze to cofferdam_warden', 'cofferdam');
  let freeze = await freezeOf(world);
  for (const end = Date.now() + 20_000; freeze === null && Date.now() < end; ) freeze = await freezeOf(world);
  t.not((await list()).code, 0, 'nobody is let in');
  t.equal(freeze?.why, 'clock', freeze?.text ?? 'nothing is frozen');
  server.setClock('+0');
  t.not((await list()).code, 0, 'nor when it is right again: what was written meanwhile?');
  t.equal((await freezeOf(world))?.freeze, freeze?.freeze, 'it is one freeze');
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
  const done = await world.cofferctl(['ledger', 'release', again?.freeze ?? '', '--reason', 'as before']);
  t.equal(done.code, 0, `let go on before the warden looked once more ${done.err}`);
  t.equal(
    (await world.sftpWhenServed('acme-batch', ['ls'])).code,
    0,
    'the clock that two operators saw is the right one',
  );
  await witnessed(world);
  const { code, report } = await verifyRecord({
    url: server.url('cofferdam'),
    key,
    witness: join(world.directory, 'witness'),
  });
  t.match([code, report.newest?.era, report.lost], [0, 3, []], `the record is whole, in its third era ${told(report)}`);
});
