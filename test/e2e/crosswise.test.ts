// Renames that meet crosswise: each is carried out or refused with a reason; none ends in an internal error.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { test } from 'tap';
import { RawClient, u32 } from '../support/raw-client.ts';
import { startWorld } from '../support/world.ts';

test('a to b and b to a, again and again, from four sessions', async (t) => {
  const world = await startWorld(t);
  const key = readFileSync(world.keyFile('acme-batch'), 'utf8');
  const codes = new Map<number, number>();
  await Promise.all(
    Array.from({ length: 4 }, async (_, lane) => {
      const client = await RawClient.open({ port: world.demo.partner.port });
      if (!(await client.login('acme-batch', key)) || !(await client.sftp())) throw new Error('no session');
      const [a, b] = lane % 2 === 0 ? ['/deposit/a.part', '/deposit/b.part'] : ['/deposit/b.part', '/deposit/a.part'];
      for (let round = 0; round < 40; round += 1) {
        const opened = await client.ask(3, a, u32(0x1a), u32(0));
        if (opened?.[0] === 102) await client.ask(4, Buffer.from(opened.subarray(5)));
        const done = await client.ask(200, 'posix-rename@openssh.com', a, b);
        const code = done?.readUInt32BE(5) ?? -1;
        codes.set(code, (codes.get(code) ?? 0) + 1);
      }
      client.close();
    }),
  );
  t.comment(`status codes: ${JSON.stringify([...codes])}`);
  t.equal(
    [...codes.values()].reduce((sum, count) => sum + count, 0),
    160,
    'every rename is answered',
  );
  t.ok((codes.get(0) ?? 0) > 0, 'some are done');
  t.notMatch(world.log, /deadlock|"level":50/, 'none is an internal error');
  const owner = new pg.Client({ connectionString: world.databaseUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  const deadlocks = async (): Promise<unknown> =>
    (await owner.query('select deadlocks::int as n from pg_stat_database where datname = current_database()')).rows[0]
      ?.n;
  // The server counts a second after it happened.
  await delay(1500);
  t.equal(await deadlocks(), 0, 'two renames wait for each other’s end, and never for each other');
});
