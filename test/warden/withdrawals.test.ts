// Who is left when something is withdrawn: which credential counts as the other one, which as one of several, and whose
// sessions end with what.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { idOf, type NodeName, type SessionId } from '../../server/domain/ids.ts';
import type { SessionFilter } from '../../server/domain/session-filter.ts';
import { hasOtherCredentials } from '../../server/warden/budgets/consequence-queries.ts';
import { endOf, endSessions } from '../../server/warden/sessions/session-queries.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';

const dayMs = 86_400_000;

test('only a credential that opens something now counts as the other one', async (t) => {
  const bank = await Bank.create(await startBankDatabase(t), 'acme', 1024);
  const [mine, other] = [await bank.addReader(), await bank.addReader()];
  const hasOther = (): Promise<boolean> =>
    bank.warden.withSystem((tx) => hasOtherCredentials(tx, bank.id, mine.credential, 90 * dayMs));
  t.ok(await hasOther(), 'a usable key of a colleague');
  const unusable: readonly (readonly [string, string, string, string])[] = [
    ['expired', 'credential', 'expires_at = now()', 'expires_at = issued_until'],
    ['suspended', 'credential', "state = 'suspended'", "state = 'active'"],
    ['not good yet', 'credential', "valid_from = now() + interval '1 hour'", "valid_from = now() - interval '1 hour'"],
    ['dormant', 'credential', "valid_from = now() - interval '91 days'", 'valid_from = now()'],
    ['of a locked account', 'account', "state = 'suspended'", "state = 'active'"],
    ['of an account that has ended', 'account', 'expires_at = now()', 'expires_at = null'],
  ];
  for (const [what, table, set, undo] of unusable) {
    const id = table === 'account' ? other.account : other.credential;
    await bank.sql.query(`update ${table} set ${set} where id = $1`, [id]);
    t.notOk(await hasOther(), what);
    await bank.sql.query(`update ${table} set ${undo} where id = $1`, [id]);
    t.ok(await hasOther(), `${what}: the twin`);
  }
});

test('revoking a password ends the sessions that it opened beside a key, and no others', async (t) => {
  const bank = await Bank.create(await startBankDatabase(t), 'acme', 1024);
  const key = await bank.addReader();
  const password = await bank.addCredential(key.account);
  const both = await bank.addSession(key.account, key.credential);
  await bank.sql.query('update session set also_credential_id = $2 where id = $1', [both.session, password.credential]);
  const ended = await bank.warden.withSystem((tx) =>
    endSessions(tx, { credential: password.credential }, 'the credential was revoked', 'credential'),
  );
  t.same(ended.sessions.map((one) => one.id).sort(), [both.session, password.session].sort());
  const [row] = await bank.sql.query<{ state: string }>('select state from session where id = $1', [key.session]);
  t.equal(row?.state, 'open', 'the session of the key alone');
  const nobody = await bank.warden.withSystem((tx) =>
    endSessions(tx, { session: idOf<SessionId>(randomUUID()) }, 'x', 'operator'),
  );
  t.same(nobody.sessions, []);
});

test('only a credential that could use a customer’s budget now makes several of it', async (t) => {
  const bank = await Bank.create(await startBankDatabase(t), 'acme', 1024);
  const [mine, other] = [await bank.addReader(), await bank.addReader()];
  const several = async (): Promise<boolean> =>
    (await bank.sql.query<{ is: boolean }>('select has_several_credentials($1) as is', [bank.id]))[0]?.is === true;
  const set = (table: 'credential' | 'account', what: string): Promise<unknown> =>
    bank.sql.query(`update ${table} set ${what} where id = $1`, [
      table === 'account' ? other.account : other.credential,
    ]);
  t.ok(await several(), 'a usable key of a colleague');
  const unusable: readonly (readonly [string, 'credential' | 'account', string, string])[] = [
    ['expired', 'credential', 'expires_at = now()', 'expires_at = issued_until'],
    ['suspended', 'credential', "state = 'suspended'", "state = 'active'"],
    ['not good yet', 'credential', "valid_from = now() + interval '1 hour'", "valid_from = now() - interval '1 hour'"],
    ['of a locked account', 'account', "state = 'suspended'", "state = 'active'"],
    ['of an account that has ended', 'account', 'expires_at = now()', 'expires_at = null'],
  ];
  for (const [what, table, to, back] of unusable) {
    await set(table, to);
    t.notOk(await several(), what);
    await set(table, back);
    t.ok(await several(), `${what}: the twin`);
  }
  await bank.sql.query('set session_replication_role = replica');
  await set(
    'credential',
    "type = 'password', public_key = null, password_hash = 'x', fingerprint = 'password:abcdefgh'",
  );
  t.ok(await several(), 'the password of a person');
  await set('account', "kind = 'machine'");
  t.notOk(await several(), 'that of a machine opens nothing by itself');
  await set('credential', "type = 'public-key', public_key = 'x', password_hash = null");
  await bank.sql.query('set session_replication_role = origin');
  t.ok(await several(), 'its key does');
  await bank.sql.query('update credential set successor_id = $2 where id = $1', [mine.credential, other.credential]);
  t.notOk(await several(), 'a key and its successor are one');
  await set('credential', "valid_from = now() + interval '1 hour'");
  t.notOk(await several(), 'so they are before it is good');
  await set('credential', "valid_from = now() - interval '1 hour'");
  await bank.addReader({ isInternal: true });
  t.ok(await several(), 'an account of our own that may read here makes two of them');
});

test('an end by an account, a customer, a window or a ticket ends every session that relies on it, and no other', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const [acme, globex] = [await Bank.create(given, 'acme', 1024), await Bank.create(given, 'globex', 1024)];
  const [own, colleague, stranger] = [await acme.addReader(), await acme.addReader(), await globex.addReader()];
  const [ours, theirs] = [await acme.addReader({ isInternal: true }), await globex.addReader({ isInternal: true })];
  const window = randomUUID();
  await sql.query('update session set window_id = $2 where id = $1', [own.session, window]);
  const enrolling = await acme.addSession(own.account, own.credential);
  await sql.query("update session set purpose = 'enrolment' where id = $1", [enrolling.session]);
  await sql.query('update session set start_id = $2 where id = $1', [colleague.session, window]);
  const names: Readonly<Record<string, string>> = {
    [own.session]: 'own',
    [enrolling.session]: 'enrolling',
    [colleague.session]: 'colleague',
    [stranger.session]: 'stranger',
    [ours.session]: 'ours',
    [theirs.session]: 'theirs',
  };
  const cases: readonly (readonly [SessionFilter, readonly string[]])[] = [
    [{ session: own.session }, ['own']],
    [{ account: own.account }, ['enrolling', 'own']],
    [{ enrolmentOf: own.account }, ['enrolling']],
    [{ credential: colleague.credential }, ['colleague']],
    [{ window }, ['own']],
    // Internal accounts reach a customer beside others.
    [{ customer: acme.id }, ['colleague', 'enrolling', 'ours', 'own']],
    [{ customer: globex.id }, ['stranger', 'theirs']],
    [{ node: idOf<NodeName>('n'), exceptStartId: window }, ['enrolling', 'ours', 'own', 'stranger', 'theirs']],
    [{ node: idOf<NodeName>('another'), exceptStartId: window }, []],
    [{ overdue: [ours.session, stranger.session], as: 'idle' }, ['ours', 'stranger']],
  ];
  for (const [filter, expected] of cases) {
    const undone = new Error('undone');
    let ended: readonly string[] = [];
    await t.rejects(
      warden.withSystem(async (tx) => {
        ended = (await endSessions(tx, filter, 'a test', endOf(filter))).sessions
          .map((one) => names[one.id] ?? one.id)
          .sort();
        throw undone;
      }),
      undone,
    );
    t.same(ended, expected, JSON.stringify(Object.keys(filter)));
  }
});
