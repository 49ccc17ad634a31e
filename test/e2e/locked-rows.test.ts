// Rows that an operator's command or a colleague locks for some seconds make a bank wait, and not fail.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { startWorld } from '../support/world.ts';

/** Longer than one wait for a lock, and than the first one that follows. */
const heldMs = 5000;

test('a login and a deposit that meet locked rows go on when the rows are free', async (t) => {
  const world = await startWorld(t);
  const path = join(world.directory, 'x');
  writeFileSync(path, randomBytes(1000));
  for (const [what, rows, lines] of [
    [
      'a login beside a withdrawal',
      "budget where account_id = (select id from account where name = 'acme-batch')",
      ['pwd'],
    ],
    ['a deposit beside a change of its folder', "folder where name = 'deposit'", [`put ${path} deposit/a`]],
  ] as const) {
    const holder = new pg.Client({ connectionString: world.databaseUrl });
    await holder.connect();
    await holder.query("begin; select set_config('cofferdam.customers', '*', true)");
    t.ok(
      ((await holder.query(`select 1 from ${rows} for update`)).rowCount ?? 0) > 0,
      `${what}: there is something to wait for`,
    );
    const done = world.sftp('acme-batch', lines);
    await new Promise((resolve) => setTimeout(resolve, heldMs));
    await holder.query('commit');
    await holder.end();
    const { code, err } = await done;
    t.equal(code, 0, `${what}: ${err.trim().slice(-200)}`);
  }
});
