// Every role of the database may send notifications: on each channel a notification makes its listener look, and
// nothing that it says is believed.
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { test } from 'tap';
import { idOf, type SessionId } from '../../server/domain/ids.ts';
import { endedElsewhere } from '../../server/warden/sessions/ended-elsewhere.ts';
import { endSessions } from '../../server/warden/sessions/session-queries.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';
import { SftpClient } from '../support/sftp-client.ts';
import { project, startWorld } from '../support/world.ts';

/** The channels on which the product listens. */
const channels = [
  ...new Set(
    readdirSync(join(project, 'server'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => [
        ...readFileSync(join(project, 'server', name), 'utf8').matchAll(/\.listen\(\s*'(cofferdam_\w+)'/g),
      ])
      .map(([, channel = '']) => channel),
  ),
].sort();

test('a notification says where to look: a session that ended is known by its row, and one that did not continues', async (t) => {
  const given = await startBankDatabase(t);
  const bank = await Bank.create(given, 'acme', 1000);
  const [open, over] = [await bank.addReader(), await bank.addReader()];
  const told: string[] = [];
  const forgotten: SessionId[] = [];
  const elsewhere = endedElsewhere(
    { database: given.warden, log: { warn: () => t.fail('no look at the rows fails') } },
    { terminate: (node, session, end) => void told.push(`${node} ${session} ${end}`) },
    { forget: (ids) => void forgotten.push(...ids) },
  );
  const stop = await given.warden.listen('cofferdam_ended', elsewhere.hear, () => {});
  t.teardown(async () => {
    await stop();
    await elsewhere.stop();
  });
  const anybody = new pg.Client({ connectionString: given.sql.adminUrl });
  await anybody.connect();
  t.teardown(() => anybody.end());
  const notify = (payload: string) => anybody.query('select pg_notify($1, $2)', ['cofferdam_ended', payload]);
  for (const payload of [
    '',
    'n',
    'n/',
    '//',
    `n/${randomUUID()}/operator`,
    "n/'; --/idle",
    'n/x',
    `n/${open.session}/operator`,
    `n/${open.session}`,
  ])
    await notify(payload);
  await given.warden.withSystem((tx) => endSessions(tx, { session: over.session }, 'a test', 'operator'));
  for (const end = Date.now() + 20_000; told.length === 0 && Date.now() < end; ) await delay(20);
  // For a session that has ended, its row says where it was and why, whoever names it.
  await notify(`elsewhere/${over.session}/idle`);
  for (const end = Date.now() + 20_000; told.length < 2 && Date.now() < end; ) await delay(20);
  const right = `n ${over.session} operator`;
  t.same([...new Set(told)], [right], 'what is told is what the row says, whatever a notification says');
  t.same([...new Set(forgotten)], [over.session]);
  const rows = await given.sql.query<{ id: string; state: string }>(
    "select id, state from session where state = 'open'",
  );
  t.same(
    rows.map((row) => row.id),
    [idOf<SessionId>(open.session)],
  );
});

test('any text on any channel, from the role of the admin process: sessions and commands continue, and nothing is done', async (t) => {
  t.same(
    channels,
    ['cofferdam_answer', 'cofferdam_command', 'cofferdam_ended'],
    'these are all channels: a new one is added to these tests',
  );
  const world = await startWorld(t);
  const privateKey = readFileSync(world.keyFile('acme-batch'), 'utf8');
  const client = await SftpClient.connect({ port: world.demo.partner.port, username: 'acme-batch', privateKey });
  const owner = new pg.Client({ connectionString: world.databaseUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  const state = async (): Promise<unknown> => {
    const { rows } = await owner.query(
      "select (select count(*)::int from command) as commands, (select array_agg(account_id || ' ' || state order by id) from session) as sessions",
    );
    return rows[0];
  };
  const before = await state();
  const { rows } = await owner.query<{ id: string; node: string }>("select id, node from session where state = 'open'");
  t.ok(rows.length > 0, 'a session is open');
  const anybody = new pg.Client({ connectionString: world.roleUrl('admin') });
  await anybody.connect();
  t.teardown(() => anybody.end());
  for (const channel of channels)
    for (const { id, node } of rows)
      for (const words of [
        `${node}/${id}/operator`,
        `${node}/${id}`,
        id,
        randomUUID(),
        'resealed',
        '',
        '{}',
        'x'.repeat(7000),
      ])
        for (let i = 0; i < 5; i += 1) await anybody.query('select pg_notify($1, $2)', [channel, words]);
  // An honest command comes after all of them, on the same channels.
  const asked = await world.cofferctl(['session', 'list', '--all', '--json']);
  t.equal(asked.code, 0, asked.err);
  t.ok((await client.list('.')).length > 0, 'the session is served');
  t.same(await state(), before, 'no command was done, and no session has ended');
  client.end();
});
