// T-36: a trigger runs inside the warden's own transaction. What it writes there, or changes in what is being written,
// was declared by nobody: nothing of that transaction happens, and an alert is raised. The same work without the
// trigger is the twin.
import { readFileSync } from 'node:fs';
import { type Test, test } from 'tap';
import { asOwner, type OwnerSql } from '../support/as-owner.ts';
import { makeKey, sshCommand } from '../support/ssh.ts';
import { sshLogin } from '../support/ssh-login.ts';
import { startWorld, type World } from '../support/world.ts';

type Alerts = { readonly alerts: readonly { kind: string; subject: string; text: string }[] };
const brokenCount = async (world: World): Promise<number> =>
  (await world.cofferctlJson<Alerts>(['alert', 'list'])).alerts.filter((one) => one.kind === 'row.broken-seal').length;

/** While `work` runs, whatever is written into `table` makes the database do `deed` in addition. */
async function withTrigger(
  sql: OwnerSql,
  table: string,
  when: string,
  deed: string,
  work: () => Promise<void>,
): Promise<void> {
  await sql(
    `create or replace function planted() returns trigger language plpgsql security definer as $$ begin ${deed} return new; end $$`,
  );
  await sql(`create trigger planted ${when} on ${table} for each row execute function planted()`);
  try {
    await work();
  } finally {
    await sql(`drop trigger planted on ${table}`);
    await sql('drop function planted()');
  }
}

async function setUp(t: Test) {
  const world = await startWorld(t, { limits: { sealCheckEveryMs: 3_600_000 } });
  const sql = await asOwner(t, world);
  const stolen = makeKey(world, 'stolen');
  const blob = stolen.publicLine.split(' ')[1] ?? '';
  const plant = `insert into credential (id, account_id, type, algorithm, public_key, fingerprint, issued_by, expires_at)
    select gen_random_uuid(), id, 'public-key', 'ssh-ed25519', decode('${blob}', 'base64'),
      'SHA256:' || rtrim(encode(sha256(decode('${blob}', 'base64')), 'base64'), '='), 'alice, approved by bob', now() + interval '1 day'
    from account where name = 'acme-batch' on conflict do nothing;`;
  const budgets = `insert into budget (rank, direction, credential_id, customer_id, cap_hour_bytes, cap_day_bytes, cap_week_bytes, cap_hour_items, cap_day_items, cap_week_items, rate, sessions_max, is_share)
    select 1, b.direction, n.id, b.customer_id, cap_hour_bytes, cap_day_bytes, cap_week_bytes, cap_hour_items, cap_day_items, cap_week_items, b.rate, b.sessions_max, b.is_share
    from budget b join credential c on c.id = b.credential_id join account a on a.id = c.account_id, credential n
    where a.name = 'acme-batch' and n.account_id = a.id and c.id <> n.id and n.fingerprint = 'SHA256:' || rtrim(encode(sha256(decode('${blob}', 'base64')), 'base64'), '=') on conflict do nothing;`;
  const opensStolen = async (): Promise<boolean> =>
    (
      await sshLogin({
        port: world.demo.partner.port,
        username: 'acme-batch',
        privateKey: readFileSync(stolen.file, 'utf8'),
        answer: () => '',
      })
    ).isOpen;
  const planted = async (): Promise<number> =>
    Number(
      (await sql("select count(*)::int as n from credential where public_key = decode($1, 'base64')", [blob]))[0]?.n,
    );
  return { world, sql, plant: `${plant} ${budgets}`, opensStolen, planted };
}

test('a key that a trigger plants during the work of others is never sealed', async (t) => {
  const { world, sql, plant, opensStolen, planted } = await setUp(t);
  // One operator's harmless command.
  await withTrigger(sql, 'customer', 'after insert', plant, async () => {
    const done = await world.cofferctlAlone(['customer', 'create', 'initech', '--reason', 'x', '--execute']);
    t.not(done.code, 0, 'the command');
    t.match(done.err, /the database wrote what nobody asked for \(credential .*not declared/, 'says why');
  });
  t.same(await sql("select 1 from customer where name = 'initech'"), [], 'nothing of it happened');
  t.equal(await planted(), 0);
  t.equal(await brokenCount(world), 1, 'an alarm');

  // Two operators' change of another account's access.
  await withTrigger(sql, 'account', 'after update', plant, async () => {
    t.not(
      (await world.cofferctl(['account', 'set', 'globex', '--manages', 'no', '--reason', 'x', '--execute'])).code,
      0,
      'a change',
    );
  });
  t.equal(await planted(), 0);

  // A customer's console.
  const code = await world.code('acme');
  await withTrigger(sql, 'activation_window', 'after insert', plant, async () => {
    const said = await sshCommand(
      world,
      { account: 'acme', keyFile: world.keyFile('acme'), code },
      'unlock acme-batch --for 1h',
    );
    t.match(said.err + said.out, /the database wrote what nobody asked for/, 'a console command');
  });
  t.equal(await planted(), 0);

  // A login seals nothing: what is planted there stays without a seal and opens nothing.
  await withTrigger(sql, 'session', 'after insert', plant, async () => {
    const login = await sshLogin({
      port: world.demo.partner.port,
      username: 'globex-batch',
      privateKey: readFileSync(world.keyFile('globex-batch'), 'utf8'),
      answer: () => '',
    });
    t.ok(login.isOpen, 'the login is not concerned');
  });
  t.equal(await planted(), 1, 'planted by a login');
  t.notOk(await opensStolen(), 'and good for nothing');

  t.equal(
    (await world.cofferctlAlone(['customer', 'create', 'initech', '--reason', 'x', '--execute'])).code,
    0,
    'the twin',
  );
});

test('a row that is being written is not altered on the way', async (t) => {
  const { world, sql } = await setUp(t);
  const mine = makeKey(world, 'mine');
  const key = ['key', 'add', 'globex-batch', '--file', `${mine.file}.pub`, '--execute'];
  await withTrigger(
    sql,
    'credential',
    'before insert',
    "new.account_id := (select id from account where name = 'acme-batch');",
    async () => {
      const done = await world.cofferctl(key);
      t.match(done.err, /account_id is not what was declared/, "the key of one account becomes another's");
    },
  );
  await withTrigger(sql, 'account', 'before update', "new.source_networks := '{}';", async () => {
    await world.cofferctl(['account', 'set', 'acme-batch', '--networks', '127.0.0.0/8', '--reason', 'x', '--execute']);
  });
  const networks = async (): Promise<unknown> =>
    (await sql("select source_networks::text[] as n from account where name = 'acme-batch'"))[0]?.n;
  t.same(await networks(), [], 'nothing was written');
  t.equal((await world.cofferctl(key)).code, 0, 'the twin');

  // What was altered before does not become valid by a harmless change of another fact.
  await sql("update account set manages = true where name = 'globex'");
  const narrowed = await world.cofferctl([
    'account',
    'set',
    'globex',
    '--read-only',
    'yes',
    '--reason',
    'x',
    '--execute',
  ]);
  t.equal(narrowed.code, 0, 'what takes something away is done');
  t.match(narrowed.out, /row\.broken-seal/, 'and says that the row was altered');
  const [seal] = await sql(
    "select mac from seal s join account a on s.kind = 'account' and s.row_id = a.id::text where a.name = 'globex'",
  );
  t.equal(seal?.mac, null, 'an altered row is not washed');
  const washed = await world.cofferctl(['account', 'set', 'globex', '--read-only', 'no', '--reason', 'x', '--execute']);
  t.match(washed.err, /was altered before/, 'nor by two');
});

test('an earlier state of a row does not come back with its earlier seal', async (t) => {
  const { world, sql } = await setUp(t);
  const row = "(select id::text from account where name = 'acme-batch')";
  const [before] = await sql(`select to_jsonb(s) as seal from seal s where kind = 'account' and row_id = ${row}`);
  const narrow = await world.cofferctl([
    'account',
    'set',
    'acme-batch',
    '--networks',
    '192.0.2.0/24',
    '--reason',
    'x',
    '--execute',
  ]);
  t.equal(narrow.code, 0, narrow.err);
  const login = async (): Promise<boolean> =>
    (
      await sshLogin({
        port: world.demo.partner.port,
        username: 'acme-batch',
        privateKey: readFileSync(world.keyFile('acme-batch'), 'utf8'),
        answer: () => '',
      })
    ).isOpen;
  t.notOk(await login(), 'narrowed');
  await sql('set session_replication_role = replica');
  await sql("update account set source_networks = '{}' where name = 'acme-batch'");
  await sql(
    `update seal s set mac = o.mac, sealed_by = o.sealed_by, change_id = o.change_id, maker = o.maker, generation = o.generation
     from jsonb_populate_record(null::seal, $1) o where s.kind = 'account' and s.row_id = ${row}`,
    [JSON.stringify(before?.seal)],
  );
  await sql('set session_replication_role = origin');
  t.notOk(await login(), 'what had ended, with the seal that it had');
  t.ok((await brokenCount(world)) > 0, 'an alarm');
  world.kill('warden');
  t.ok(await world.logged(/warden serves/, world.log.length), 'a new warden');
  t.notOk(await login(), 'and the next warden knows it from the record');
});
