// Who is left when something is withdrawn: which credential counts as the other one, and whose sessions end with a password.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { idOf, type SessionId } from '../../server/domain/ids.ts';
import { hasOtherCredentials } from '../../server/warden/budgets/consequence-queries.ts';
import { endSessions } from '../../server/warden/sessions/session-queries.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';

const dayMs = 86_400_000;

test('only a credential that opens something now counts as the other one', async (t) => {
  const bank = await Bank.create(await startBankDatabase(t), 'acme', 1024);
  const [mine, other] = [await bank.addReader(), await bank.addReader()];
  const hasOther = (): Promise<boolean> => bank.warden.withSystem((tx) => hasOtherCredentials(tx, bank.id, mine.credential, 90 * dayMs));
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
  const nobody = await bank.warden.withSystem((tx) => endSessions(tx, { session: idOf<SessionId>(randomUUID()) }, 'x', 'operator'));
  t.same(nobody.sessions, []);
});
