// When more is due than one turn does, what has been due for longest has its turn first, whatever was written first.
import { test } from 'tap';
import type { Transaction } from '../../server/postgres/database.ts';
import { findExpiring } from '../../server/warden/credentials/credential-queries.ts';
import { findOverdue } from '../../server/warden/sessions/ending-queries.ts';
import { findDue, findExpired, findWaiting, listDoomed } from '../../server/warden/transfers/sweep-queries.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';
import { Shelf } from '../support/shelf.ts';

const hourMs = 3_600_000;
/** How many hours ago each became due, in the order in which they are written. */
const hours = [3, 9, 5] as const;

test('files: what settles, expires, waits, and is deleted', async (t) => {
  const shelf = await Shelf.create(t);
  const first = (
    find: (tx: Transaction, limit: number) => Promise<readonly string[]>,
    limit = 1,
  ): Promise<readonly string[]> => shelf.warden.database.withSystem((tx) => find(tx, limit));
  const made: string[] = [];
  for (const ago of hours) {
    const one = await shelf.add(0);
    made.push(one.version);
    await shelf.sql.query('update version set upload_id = null where id = $1', [one.version]);
    await shelf.sql.query("update version set let_go_at = now() - $2 * interval '1 hour' where id = $1", [
      one.version,
      ago,
    ]);
  }
  const inOrder = [made[1], made[2], made[0]];
  const expired = (tx: Transaction, limit: number) => findExpired(tx, hourMs, limit);
  t.same([await first(expired), await first(expired, 9)], [inOrder.slice(0, 1), inOrder], 'uploads that expired');
  for (const [i, version] of made.entries()) {
    await shelf.close(version, 'settling');
    await shelf.sql.query(
      "update version set publish_at = now() - $2 * interval '1 hour', waits_since = now() - $2 * interval '1 hour' where id = $1",
      [version, hours[i]],
    );
  }
  t.same([await first(findDue), await first(findDue, 9)], [inOrder.slice(0, 1), inOrder], 'files that have settled');
  const waiting = (tx: Transaction, limit: number) => findWaiting(tx, hourMs, limit);
  t.same(
    [await first(waiting), await first(waiting, 9)],
    [inOrder.slice(0, 1), inOrder],
    'files that are kept from being delivered',
  );
  const objects = hours.map((ago) => String(ago).repeat(32));
  for (const [i, object] of objects.entries())
    await shelf.sql.query("insert into doomed_object (object_id, since) values ($1, now() - $2 * interval '1 hour')", [
      object,
      hours[i],
    ]);
  t.same(await first(listDoomed, 9), [objects[1], objects[2], objects[0]], 'objects');
});

test('sessions that are over, and credentials that end soon', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const bank = await Bank.create(given, 'acme', 1000);
  const readers = [await bank.addReader(), await bank.addReader(), await bank.addReader()];
  for (const [i, { session, credential }] of readers.entries()) {
    await sql.query(
      "update session set started_at = now() - interval '1 day', expires_at = now() - $2 * interval '1 hour' where id = $1",
      [session, hours[i]],
    );
    await sql.query(
      "update credential set expires_at = now() + interval '10 hours' - $2 * interval '1 hour' where id = $1",
      [credential, hours[i]],
    );
  }
  const inOrder = [readers[1], readers[2], readers[0]];
  t.same(
    await warden.withSystem((tx) => findOverdue(tx, 9)),
    inOrder.map((one) => one?.session),
  );
  t.same(
    await warden.withSystem((tx) => findExpiring(tx, 10 * hourMs, 9)),
    inOrder.map((one) => one?.credential),
  );
});
