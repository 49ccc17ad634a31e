// T-23, one step further: somebody who can write to the database itself. A row that the warden did not write opens
// nothing, and raises an alert; the same row with a valid seal is the twin.
import { createHash, createPublicKey, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { connect } from '../../admin-cli/connection/client.ts';
import { totp } from '../../admin-cli/demo-otp.ts';
import { keyFingerprint } from '../../certs/authority.ts';
import { toCofferdamError } from '../../server/domain/errors.ts';
import { asOwner, type OwnerSql } from '../support/as-owner.ts';
import { asWarden } from '../support/as-warden.ts';
import { FreshCodes } from '../support/fresh-codes.ts';
import { issueOperatorCertificate } from '../support/issued.ts';
import { recordIsSettled } from '../support/settled.ts';
import { makeKey, sshCommand } from '../support/ssh.ts';
import { sshLogin } from '../support/ssh-login.ts';
import { startWorld, type World } from '../support/world.ts';

type Alerts = { readonly alerts: readonly { kind: string; severity: string; text: string }[] };

async function opens(
  world: World,
  username: string,
  privateKey: string,
  answer: () => string = () => '',
): Promise<boolean> {
  const login = await sshLogin({ port: world.demo.partner.port, username, privateKey, answer });
  return login.isOpen;
}

const broken = async (world: World): Promise<readonly string[]> =>
  (await world.cofferctlJson<Alerts>(['alert', 'list'])).alerts
    .filter((one) => one.kind === 'row.broken-seal')
    .map((one) => one.text);

/**
 * That there is an alert about this. When there is none, the message says what the record and the logs tell about the
 * logins.
 */
async function alarmed(t: Test, world: World, words: RegExp, what: string): Promise<void> {
  const texts = await broken(world);
  if (texts.some((text) => words.test(text))) {
    t.pass(what);
    return;
  }
  const failures = await world.cofferctl(['ledger', 'search', '--kind', 'login.refused']);
  t.fail(what, { texts, failures: failures.out + failures.err, log: world.log.split('\n').slice(-40) });
}

test('rows that the warden did not write open nothing', async (t) => {
  const world = await startWorld(t, { limits: { sealCheckEveryMs: 3_600_000 } });
  const sql = await asOwner(t, world);
  const key = readFileSync(world.keyFile('acme-batch'), 'utf8');
  const login = (): Promise<boolean> => opens(world, 'acme-batch', key);
  t.ok(await login());

  const stolen = makeKey(world, 'stolen');
  const blob = stolen.publicLine.split(' ')[1] ?? '';
  const id = randomUUID();
  const insertKey = `insert into credential (id, account_id, type, algorithm, public_key, fingerprint, issued_by, expires_at)
    select '${id}', id, 'public-key', 'ssh-ed25519', decode('${blob}', 'base64'), 'SHA256:${createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64').replace(/=+$/, '')}', 'alice, approved by bob', now() + interval '1 day' from account where name = 'acme-batch'`;
  const stolenKey = readFileSync(stolen.file, 'utf8');
  await sql(insertKey);
  t.notOk(await opens(world, 'acme-batch', stolenKey), 'a key put into the table');
  t.match(await broken(world), [/the row of credential .* is not what the warden wrote/], 'is an alarm');
  // A copied seal: of another row, of the same kind.
  await sql(
    `update seal s set mac = o.mac, sealed_by = o.sealed_by, change_id = o.change_id from seal o where s.kind = 'credential' and s.row_id = '${id}' and o.kind = 'credential' and o.row_id <> s.row_id and o.mac is not null`,
  );
  t.notOk(await opens(world, 'acme-batch', stolenKey), 'nor with the seal of another row');
  await asWarden(
    world,
    // It names a change that was about another key.
    `update seal set change_id = null where kind = 'credential' and row_id = '${id}'`,
    `update credential set read_only = false where id = '${id}'`,
    `insert into budget (rank, direction, credential_id, customer_id, cap_hour_bytes, cap_day_bytes, cap_week_bytes, cap_hour_items, cap_day_items, cap_week_items, rate, sessions_max, is_share)
    select 1, b.direction, '${id}', b.customer_id, cap_hour_bytes, cap_day_bytes, cap_week_bytes, cap_hour_items, cap_day_items, cap_week_items, b.rate, b.sessions_max, b.is_share
    from budget b join credential c on c.id = b.credential_id join account a on a.id = c.account_id where a.name = 'acme-batch' and c.id <> '${id}'`,
  );
  t.ok(await opens(world, 'acme-batch', stolenKey), 'with the seal of the warden it would');

  const forgeries: readonly (readonly [string, string, string])[] = [
    ['networks', "update account set source_networks = '{}' where name = 'acme-batch'", 'account'],
    [
      'a kind',
      "update account set manages = false, read_only = false, kind = 'machine' where name = 'acme-batch'",
      'account',
    ],
    [
      'rights',
      "update folder_right set verbs = '{list,read,write,remove}' where account_id = (select id from account where name = 'acme-batch')",
      'rights',
    ],
    [
      'a folder',
      "update folder set read_back = true where customer_id = (select id from customer where name = 'acme')",
      'folder',
    ],
    [
      'a cap',
      "update budget set cap_day_bytes = 1000000000000 where rank = 3 and customer_id = (select id from customer where name = 'acme')",
      'budget',
    ],
    ['the gateway cap', 'update budget set cap_day_bytes = 1000000000000 where rank = 5', 'budget'],
    ['a policy', "update customer set allowed_proofs = null where name = 'acme'", 'customer'],
    [
      'a life',
      "update credential set issued_until = issued_until + interval '1 year' where account_id = (select id from account where name = 'acme-batch')",
      'credential',
    ],
    [
      'a window',
      "update activation_window set closes_at = opens_at + interval '23 hours' where account_id = (select id from account where name = 'acme-batch')",
      'window',
    ],
  ];
  for (const [what, statement, kind] of forgeries) {
    await sql(statement);
    t.notOk(await login(), `${what}, by the owner of the database`);
    t.match((await broken(world))[0], new RegExp(`the row of ${kind} `));
    await asWarden(world, statement);
    t.ok(await login(), `${what}, by the warden`);
    // The same without the triggers, which only a superuser can leave out: the old seal does not fit.
    await sql('set session_replication_role = replica');
    await sql(
      statement
        .replace('23 hours', '22 hours')
        .replace("'{}'", "'{127.0.0.0/8}'")
        .replace('1000000000000', '2000000000000')
        .replace('read_back = true', 'read_back = false')
        .replace('manages = false, read_only = false', 'read_only = true')
        .replace('{list,read,write,remove}', '{list,write,read,remove}')
        .replace('= null', "= '{key+window}'"),
    );
    await sql('set session_replication_role = origin');
    t.notOk(await login(), `${what}, without triggers`);
    await asWarden(world, statement);
    t.ok(await login(), `${what}, mended`);
  }

  await world.cofferctl(['window', 'close', 'acme-batch']);
  t.notOk(await login());
  const window = `insert into activation_window (id, account_id, opens_at, closes_at, opened_by, reason) select gen_random_uuid(), id, now(), now() + interval '1 hour', 'alice', 'x' from account where name = 'acme-batch'`;
  await sql(window);
  t.notOk(await login(), 'a window that nobody opened');
  await sql(
    "delete from activation_window where closed_at is null and account_id = (select id from account where name = 'acme-batch')",
  );
  await asWarden(world, window);
  t.ok(await login(), 'the twin');

  await world.cofferctl(['mfa', 'reset', 'globex', '--reason', 'test']);
  const person = readFileSync(world.keyFile('globex'), 'utf8');
  const ticket = `insert into mfa_ticket (id, account_id, ticket_hash, issued_by, expires_at) select gen_random_uuid(), id, sha256('ticket'), 'alice', now() + interval '1 hour' from account where name = 'globex'`;
  await sql(ticket);
  t.notOk(await opens(world, 'globex', person, () => 'ticket'), 'a ticket that nobody issued');
  await sql("delete from mfa_ticket where used_at is null and ticket_hash = sha256('ticket')");
  await asWarden(world, ticket);
  t.ok(await opens(world, 'globex', person, () => 'ticket'), 'the twin lets its holder enrol');

  // What the rows name: the change itself, altered after it was applied.
  const [made] = await sql(
    "select s.change_id from seal s join credential k on s.kind = 'credential' and s.row_id = k.id::text join account a on a.id = k.account_id where a.name = 'globex-batch' and s.change_id is not null",
  );
  const globex = readFileSync(world.keyFile('globex-batch'), 'utf8');
  t.ok(await opens(world, 'globex-batch', globex));
  const [{ document } = { document: '' }] = await sql('select document from change where id = $1', [made?.change_id]);
  await sql('set session_replication_role = replica');
  await sql("update change set document = replace(document, 'globex-batch', 'globex-other') where id = $1", [
    made?.change_id,
  ]);
  t.notOk(await opens(world, 'globex-batch', globex), 'a key whose change was rewritten');
  await sql('update change set document = $2 where id = $1', [made?.change_id, document]);
  t.ok(await opens(world, 'globex-batch', globex), 'as it was signed');
  await sql('update change set approver_signature = $2 where id = $1', [made?.change_id, randomBytes(70)]);
  t.notOk(await opens(world, 'globex-batch', globex), 'or whose second signature is none');
});

/** What the owner of the database does after keeping rows and their seals: each statement puts one back as it was. */
async function keep(sql: OwnerSql, table: string, kind: string, id: string): Promise<() => Promise<void>> {
  const column = table === 'second_factor' ? 'account_id' : 'id';
  const [row] = await sql(
    `select to_jsonb(r) as row, (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = $2) as seal from ${table} r where ${column} = $2::uuid`,
    [kind, id],
  );
  return async () => {
    await sql('set session_replication_role = replica');
    await sql(`delete from ${table} where ${column} = $1`, [id]);
    await sql(`insert into ${table} select * from jsonb_populate_record(null::${table}, $1)`, [
      JSON.stringify(row?.row),
    ]);
    await sql('delete from seal where kind = $1 and row_id = $2', [kind, id]);
    if (row?.seal !== null)
      await sql('insert into seal select * from jsonb_populate_record(null::seal, $1)', [JSON.stringify(row?.seal)]);
    await sql('set session_replication_role = origin');
  };
}

/** The holder of a ticket enrols; the secret of the holder's application. */
async function enrol(world: World, account: string, ticket: string): Promise<string> {
  const codes = new FreshCodes();
  let secret = '';
  const input = (out: string): string | undefined => {
    secret = /Secret: ([A-Z2-7]{32})/.exec(out)?.[1] ?? '';
    return out.includes('type the code') ? `${codes.current(secret)}\n` : undefined;
  };
  const done = await sshCommand(world, { account, keyFile: world.keyFile(account), ticket, input }, 'enroll');
  if (done.code !== 0) throw new Error(done.out + done.err);
  return secret;
}

/** Of a time step that no code of the account has used, whatever telephone it had then. */
async function unusedCode(sql: OwnerSql, account: string, secret: string): Promise<string> {
  for (;;) {
    const now = Math.floor(Date.now() / 30_000);
    const used = (await sql('select step::int as step from totp_step where account_id = $1', [account])).map((row) =>
      Number(row.step),
    );
    const step = [now, now + 1].find((one) => !used.includes(one));
    if (step !== undefined) return totp(secret, step * 30);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

test('a second factor that was taken away, and a ticket that was used, are not brought back', async (t) => {
  const world = await startWorld(t, { limits: { sealCheckEveryMs: 3_600_000 } });
  const sql = await asOwner(t, world);
  const key = readFileSync(world.keyFile('globex'), 'utf8');
  const [account] = await sql("select id from account where name = 'globex'");
  const id = String(account?.id);
  const login = (answer: string): Promise<boolean> => opens(world, 'globex', key, () => answer);
  t.ok(await login(await world.code('globex')), 'as it was enrolled');

  const telephone = await keep(sql, 'second_factor', 'second-factor', id);
  t.equal((await world.cofferctl(['mfa', 'reset', 'globex', '--reason', 'the telephone was stolen'])).code, 0);
  t.notOk(await login(await world.code('globex')), 'taken away');
  await telephone();
  t.notOk(await login(await world.code('globex')), 'put back by the owner of the database, with its seal');
  await alarmed(t, world, /the row of second-factor /, 'a factor that was put back is an alarm');
  t.equal(
    (await world.cofferctl(['mfa', 'reset', 'globex', '--reason', 'it was put back'])).code,
    0,
    'it is taken away once more',
  );

  const file = join(world.directory, 'ticket');
  t.equal((await world.cofferctl(['mfa', 'ticket', 'globex', '--out', file])).code, 0);
  const ticket = readFileSync(file, 'utf8').trim();
  const [issued] = await sql('select id from mfa_ticket where account_id = $1 and used_at is null', [id]);
  const unused = await keep(sql, 'mfa_ticket', 'ticket', String(issued?.id));
  const secret = await enrol(world, 'globex', ticket);
  const code = await unusedCode(sql, id, secret);
  t.ok(await login(code), 'the twin: a new telephone, by a ticket');
  // An entry that is changed before its writer has seen it sealed is missed, and stops the service: here it is changed
  // after that.
  await recordIsSettled(async (text) => (await sql(text)) as { n: number }[]);
  await sql('set session_replication_role = replica');
  await sql('delete from totp_step where account_id = $1', [id]);
  for (const table of ['ledger_fresh', 'ledger_sealed'])
    await sql(`update ${table} set kind = 'second-factor.usee' where kind = 'second-factor.used' and account_id = $1`, [
      id,
    ]);
  // On a busy machine a login may be refused for another reason, too; this asks what the code says.
  const opened: boolean[] = [];
  for (
    let tries = 0;
    tries < 3 && !(await broken(world)).some((text) => /the row of used-code /.test(text));
    tries += 1
  )
    opened.push(await login(code));
  for (const table of ['ledger_fresh', 'ledger_sealed'])
    await sql(`update ${table} set kind = 'second-factor.used' where kind = 'second-factor.usee' and account_id = $1`, [
      id,
    ]);
  await sql('set session_replication_role = origin');
  t.same(
    new Set(opened),
    new Set([false]),
    'its code counts once, though its row is deleted and its entry hidden for a moment',
  );
  await alarmed(t, world, /the row of used-code /, 'a code that is given again is an alarm');

  await unused();
  await sql('set session_replication_role = replica');
  await sql('delete from second_factor where account_id = $1', [id]);
  await sql('set session_replication_role = origin');
  t.notOk(await login(ticket), 'the ticket of an old letter, made unused');
  await alarmed(t, world, /the row of ticket /, 'a ticket that was made unused is an alarm');
});

test('an operator inserted into the table decides nothing', async (t) => {
  const world = await startWorld(t);
  const sql = await asOwner(t, world);
  const authority = join(world.directory, 'certs', 'authority');
  const issuer = {
    certificate: readFileSync(join(authority, 'cert.pem'), 'utf8'),
    key: readFileSync(join(authority, 'key.pem'), 'utf8'),
  };
  const issued = await issueOperatorCertificate(issuer, 'mallory', 1);
  const directory = join(world.directory, 'mallory');
  mkdirSync(directory);
  for (const [file, text] of [
    ['cert.pem', issued.certificate],
    ['key.pem', issued.key],
    ['ca.pem', issuer.certificate],
  ] as const)
    writeFileSync(join(directory, file), text, { mode: 0o600 });
  const spki = createPublicKey(issued.certificate).export({ type: 'spki', format: 'der' });
  await sql("insert into operator (id, name, role) values ($1, 'mallory', 'security-officer')", [randomUUID()]);
  await sql(
    "insert into operator_key (fingerprint, operator_id, public_key) select $1, id, $2 from operator where name = 'mallory'",
    [keyFingerprint(issued.certificate), spki],
  );
  const socket = join(world.directory, 'run', 'admin', 'admin.sock');
  const mallory = await connect({ directory, socket });
  const alice = await connect({ directory: join(world.directory, 'operators', 'alice'), socket });
  t.teardown(() => {
    mallory.close();
    alice.close();
  });
  const code = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'done',
      (error: unknown) => toCofferdamError(error).code,
    );
  const { publicKey } = generateKeyPairSync('ed25519');
  const wish = {
    operation: 'operator.create',
    params: {
      name: 'more',
      role: 'security-officer',
      publicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
      reason: 'x',
    },
    reason: 'x',
  };
  t.equal(await code(mallory.call('account.lock', { name: 'acme', reason: 'x' })), 'denied', 'no command');
  t.equal(await code(mallory.propose(wish)), 'denied', 'no proposal');
  const { change, hash } = await alice.propose(wish);
  t.equal(await code(mallory.approve(change, hash)), 'denied', 'no approval');
  t.match(await broken(world), [/the row of operator/]);
  const bob = await connect({ directory: join(world.directory, 'operators', 'bob'), socket });
  t.teardown(() => bob.close());
  t.equal(await code(bob.approve(change, hash)), 'done', "bob's is one");
});

test('a session does not outlive an altered row behind it', async (t) => {
  const world = await startWorld(t, { limits: { sealCheckEveryMs: 300 } });
  const sql = await asOwner(t, world);
  const open = (username: string) =>
    sshLogin({
      port: world.demo.partner.port,
      username,
      privateKey: readFileSync(world.keyFile(username), 'utf8'),
      answer: () => '',
      keepOpen: true,
    });
  const [mine, others] = [await open('acme-batch'), await open('globex-batch')];
  t.ok(mine.isOpen && others.isOpen);
  await sql(
    "update budget set cap_hour_bytes = 1000000000000 where rank = 2 and account_id = (select id from account where name = 'acme-batch')",
  );
  await mine.closed;
  t.match(await broken(world), [/the row of budget .* found by the regular pass/]);
  const [{ n } = { n: 0 }] = await sql(
    "select count(*)::int as n from session s join account a on a.id = s.account_id where a.name = 'globex-batch' and s.state = 'open'",
  );
  t.equal(n, 1, "others' sessions go on");
});
