// The regular pass lists the tables, not the seals, so it meets a row that nobody sealed, whatever is beside it.
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { brokenSeals } from '../../server/warden/seals/broken-seals.ts';
import { declareNew } from '../../server/warden/seals/declared.ts';
import { readRows } from '../../server/warden/seals/seal-queries.ts';
import { type Behalf, sealing } from '../../server/warden/seals/seals.ts';
import { startBankDatabase } from '../support/bank.ts';
import { temporaryDirectory } from '../support/database.ts';

async function setUp(t: Parameters<typeof startBankDatabase>[0]) {
  const { sql, warden: database } = await startBankDatabase(t);
  const runtimeDirectory = join(temporaryDirectory(t), 'var');
  mkdirSync(runtimeDirectory);
  const config = { mode: 'development', runtimeDirectory, storeDirectory: runtimeDirectory } as const;
  const warden = { database, keys: createKeyRing(config) };
  const broken = async (): Promise<readonly string[]> => {
    const found: string[] = [];
    for await (const row of brokenSeals(warden)) found.push(row.kind);
    return found.sort();
  };
  const makeCustomer = (
    behalf: Partial<Behalf>,
    facts: Readonly<Record<string, unknown>> = {},
    also = '',
  ): Promise<string> =>
    database.withSystem((tx) =>
      sealing(tx, warden, { maker: 'operator', change: () => null, ...behalf }, async () => {
        const id = randomUUID();
        declareNew(
          tx,
          { kind: 'customer', id },
          { name: 'acme', allowed_proofs: null, is_self_test: false, former_names: [], ...facts },
        );
        await tx.query('insert into customer (id, name) values ($1, $2)', [id, 'acme']);
        if (also !== '') await tx.query(also);
        return id;
      }),
    );
  return { sql, warden, broken, makeCustomer };
}

const kinds: readonly (readonly [string, string])[] = [
  ['operator', "insert into operator (id, name, role) values (gen_random_uuid(), 'mallory', 'viewer')"],
  [
    'operator-key',
    "insert into operator_key (fingerprint, operator_id, public_key) select repeat('a', 64), id, 'x' from operator where name = 'mallory'",
  ],
  [
    'account',
    "insert into account (id, customer_id, name, kind, plane) select gen_random_uuid(), id, 'm', 'machine', 'partner' from customer",
  ],
  [
    'credential',
    "insert into credential (id, account_id, type, algorithm, public_key, fingerprint, issued_by, issued_until, expires_at) select gen_random_uuid(), id, 'public-key', 'ssh-ed25519', 'x', 'f', 'x', now() + interval '1 day', now() + interval '1 day' from account",
  ],
  [
    'folder',
    "insert into folder (id, customer_id, name, direction) select gen_random_uuid(), id, 'f', 'collect' from customer",
  ],
  [
    'rights',
    "insert into folder_right (account_id, customer_id, folder_id, verbs) select a.id, f.customer_id, f.id, '{read}' from account a, folder f",
  ],
  [
    'budget',
    "insert into budget (rank, direction, cap_hour_bytes, cap_day_bytes, cap_week_bytes, cap_hour_items, cap_day_items, cap_week_items) values (5, 'out', 1, 1, 1, 1, 1, 1)",
  ],
  [
    'window',
    "insert into activation_window (id, account_id, opens_at, closes_at, opened_by, reason) select gen_random_uuid(), id, now(), now() + interval '1 hour', 'x', 'x' from account",
  ],
  [
    'standing-window',
    "insert into standing_window (id, account_id, name, days, opens, closes, zone, valid_until, opened_by, reason) select gen_random_uuid(), id, 's', '{1}', '01:00', '02:00', 'UTC', now() + interval '1 day', 'x', 'x' from account",
  ],
  [
    'ticket',
    "insert into mfa_ticket (id, account_id, ticket_hash, issued_by, expires_at) select gen_random_uuid(), id, sha256('x'), 'x', now() + interval '1 hour' from account",
  ],
  [
    'break-glass',
    "insert into break_glass (id, operator_id, operations, hours, reason, valid_until) select gen_random_uuid(), id, '{key.add}', 1, 'x', now() + interval '1 day' from operator",
  ],
];

test('the regular pass meets a planted row without a seal, whatever its kind', async (t) => {
  const { sql, broken, makeCustomer } = await setUp(t);
  await makeCustomer({});
  t.same(await broken(), [], 'what the warden wrote is good');
  // Planted by somebody who leaves the triggers out.
  await sql.query('set session_replication_role = replica');
  const planted: string[] = [];
  for (const [kind, statement] of kinds) {
    await sql.query(statement);
    planted.push(kind);
    t.same(await broken(), [...planted].sort(), kind);
  }
  await sql.query("insert into customer (id, name) values (gen_random_uuid(), 'globex')");
  t.same(await broken(), [...planted, 'customer'].sort(), 'customer');
});

test('only what was declared is sealed, fact for fact, by a maker that may make it', async (t) => {
  const { sql, warden, makeCustomer } = await setUp(t);
  const refused = async (what: string, work: () => Promise<unknown>, why: RegExp): Promise<void> => {
    await t.rejects(work(), { code: 'denied', message: why }, what);
    t.same(await sql.query('select 1 from customer'), [], `${what}: nothing was written`);
  };
  await refused('a fact that differs', () => makeCustomer({}, { name: 'globex' }), /name is not what was declared/);
  await refused('a fact that was not named', () => makeCustomer({}, { more: 1 }), /more is not what was declared/);
  await refused('another row', () => makeCustomer({}, {}, kinds[0]?.[1]), /operator .* it was not declared/);
  await refused('a maker who may not', () => makeCustomer({ maker: 'console' }), /takes two operators/);
  const alerts = await sql.query<{ n: number }>("select count(*)::int as n from alert where kind = 'row.broken-seal'");
  t.equal(alerts[0]?.n, 4, 'an alarm each');
  const id = await makeCustomer({});
  const [row] = await warden.database.withSystem((tx) => readRows(tx, [{ kind: 'customer', id }]));
  t.match(row, { maker: 'operator', generation: 1, change: null }, 'the twin');
});
