// What a rotation makes of keys, and what is left of that when it is undone: it wakes nobody whom somebody else put to
// sleep.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import {
  insertItem,
  insertRotation,
  openItems,
  undoRotation,
} from '../../server/warden/credentials/rotation-queries.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';

test('a rotation that is undone: each key is what it was, except what was suspended or revoked meanwhile', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const bank = await Bank.create(given, 'acme', 1);
  const [moving, before, meanwhile, gone, retired, beside] = await Promise.all(
    Array.from({ length: 6 }, () => bank.addReader()),
  );
  const keys = { moving, before, meanwhile, gone, retired, beside };
  const set = (one: keyof typeof keys, text: string): Promise<unknown> =>
    sql.query(`update credential set ${text} where id = $1`, [keys[one]?.credential]);
  /** Of each key: its state, and in how many hours it ends. */
  const standing = async (): Promise<Readonly<Record<string, string>>> => {
    const rows = await sql.query<{ id: string; said: string }>(
      `select id, state || ' ' || round(extract(epoch from expires_at - clock_timestamp()) / 3600) || case when successor_id is null then '' else ' replaced' end as said
       from credential`,
    );
    return Object.fromEntries(
      Object.entries(keys).map(([name, key]) => [name, rows.find((row) => row.id === key?.credential)?.said ?? '']),
    );
  };
  await sql.query("update credential set expires_at = clock_timestamp() + interval '20 hours'");
  const rotation = randomUUID();
  await warden.withSystem(async (tx) => {
    await insertRotation(tx, {
      id: rotation,
      selection: 'all',
      reason: 'x',
      by: 'x',
      overlapMs: 10 * 3_600_000,
      hasDeadline: true,
    });
    for (const [name, key] of Object.entries(keys))
      if (name !== 'beside' && key !== undefined) t.ok(await insertItem(tx, rotation, key.credential), name);
  });
  await set('before', "state = 'suspended'");
  await warden.withSystem((tx) => openItems(tx, rotation, 100));
  await sql.query('update credential set successor_id = $2 where id = $1', [
    keys.moving?.credential,
    keys.beside?.credential,
  ]);
  t.match(await standing(), {
    moving: 'retiring 10 replaced',
    before: 'suspended 20',
    meanwhile: 'retiring 10',
    beside: 'active 20',
  });
  await set('meanwhile', "state = 'suspended'");
  await set('gone', "state = 'revoked', ended_at = clock_timestamp()");
  await set('retired', "state = 'revoked', ended_at = clock_timestamp()");
  await sql.query("update rotation_item set state = 'retired' where credential_id = $1", [keys.retired?.credential]);
  t.equal(await warden.withSystem((tx) => undoRotation(tx, rotation, 'alice')), 3, 'what is over is not counted');
  t.same(await standing(), {
    moving: 'active 20',
    before: 'suspended 20',
    meanwhile: 'suspended 20',
    gone: 'revoked 10',
    retired: 'revoked 10',
    beside: 'active 20',
  });
});
