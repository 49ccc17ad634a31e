// T-36: what a session may do was decided when it was opened, from rows that the warden had verified. When the owner of
// the database rewrites rows between the login and a request, for a moment or for good, it gains nothing; an honest
// session beside it continues.
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { asOwner } from '../support/as-owner.ts';
import { refusal, SftpClient } from '../support/sftp-client.ts';
import { startWorld, type World } from '../support/world.ts';

const connect = (world: World, username: string): Promise<SftpClient> => {
  const { port } = username === 'processor' ? world.demo.internal : world.demo.partner;
  return SftpClient.connect({ port, username, privateKey: readFileSync(world.keyFile(username), 'utf8') });
};

async function prepared(t: Test): Promise<World> {
  const world = await startWorld(t, { limits: { sealCheckEveryMs: 3_600_000 } });
  for (const name of ['acme', 'globex']) {
    const file = join(world.directory, `${name}.txt`);
    writeFileSync(file, `${name}${randomBytes(40_000).toString('hex')}`);
    t.equal((await world.sftp('processor', [`put ${file} /${name}/collect/${name}.txt`])).code, 0);
  }
  return world;
}

test('rows that are rewritten after the login widen no session', async (t) => {
  const world = await prepared(t);
  const sql = await asOwner(t, world);
  const idOf = "(select id from account where name = 'NAME')";
  const account = (name: string): string => idOf.replace('NAME', name);
  const newest = `(select s.id from session s where s.account_id = ${account('acme-batch')} and s.state = 'open' order by s.started_at desc limit 1)`;

  // Whose session it is.
  const swapped = await connect(world, 'acme-batch');
  await sql(`update session set account_id = ${account('globex-batch')} where id = ${newest}`);
  t.match(await refusal(swapped.open('/collect/globex.txt')), /No response|session/i, "another customer's account");
  swapped.destroy();
  const alerts = await world.cofferctlJson<{ alerts: { kind: string; text: string }[] }>(['alert', 'list']);
  t.ok(
    alerts.alerts.some((one) => one.kind === 'row.broken-seal' && /the row of session /.test(one.text)),
    'is an alarm',
  );

  // A right that exists for a moment, before the first request.
  const rights = `update folder_right set verbs = '{VERBS}' where account_id = ${account('acme-batch')} and folder_id in (select id from folder where name = 'collect')`;
  const widened = await connect(world, 'acme-batch');
  await sql(rights.replace('VERBS', 'list,read,write,remove'));
  t.match(
    await refusal(widened.open('/collect/new.txt', 'w')),
    /permission denied/,
    'a right that came after the login',
  );
  await sql(rights.replace('VERBS', 'list,read'));
  const handle = await widened.open('/collect/acme.txt');
  t.match((await widened.read(handle, 0, 4)).toString(), 'acme', 'the twin: what the login found');

  // The handle's own row: another customer's file.
  const reader = await connect(world, 'globex-batch');
  const other = await reader.open('/collect/globex.txt');
  t.equal((await reader.read(other, 0, 4)).toString(), 'glob', 'somebody reads it who may');
  // A handle that was opened by a look has no row yet (decision 69); in a folder that counts reads it has one.
  await sql("update folder set reads_max = 1000 where name = 'collect'");
  const again = await widened.open('/collect/acme.txt');
  await sql(
    `update download d set customer_id = o.customer_id, version_id = o.version_id from download o
     where d.id = (select id from download where session_id = ${newest} and closed_at is null order by opened_at desc limit 1)
       and o.customer_id = (select id from customer where name = 'globex')`,
  );
  const [altered] = await sql(`select id from download where session_id = ${newest} order by opened_at desc limit 1`);
  t.equal((await widened.read(again, 0, 4)).toString(), 'acme', 'what is read is what was opened, by another handle');
  const [granted] = await sql(
    "select count(*)::int as n from ledger where kind = 'extent.granted' and handle_id = $1",
    [altered?.id],
  );
  t.equal(granted?.n, 0, "of a handle that was pointed at another customer's file no key was derived");
  const taken = await sql(
    "select from ledger l join account a on a.id = l.account_id join version v on v.id = l.version_id join customer c on c.id = v.customer_id where l.kind = 'extent.granted' and a.name = 'acme-batch' and c.name <> 'acme'",
  );
  t.same(taken, [], 'nor of a file of theirs by any other');
  const told = await world.cofferctlJson<{ alerts: { kind: string; text: string }[] }>(['alert', 'list']);
  t.ok(
    told.alerts.some((one) => one.kind === 'row.broken-seal' && /the row of download /.test(one.text)),
    'is an alarm',
  );
  t.equal((await reader.read(other, 0, 4)).toString(), 'glob', 'and nobody else is stopped by it');
  for (const client of [widened, reader]) client.destroy();
});
