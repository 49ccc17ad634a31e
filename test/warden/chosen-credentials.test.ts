// The selection by which operators revoke and rotate: every condition that is given holds, and nothing that fits is
// left out.
import { test } from 'tap';
import type { Selection } from '../../server/rpc/operators/credential.ts';
import { selectCredentials } from '../../server/warden/credentials/credential-queries.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';

test('credentials are selected by customer, account, age, and by where they were used, alone or together', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const [acme, globex] = [await Bank.create(given, 'acme', 1024), await Bank.create(given, 'globex', 1024)];
  const [key, other] = [await acme.addReader(), await globex.addReader()];
  const password = await acme.addCredential(key.account);
  const revoked = await acme.addCredential(key.account);
  const tester = await acme.addReader();
  const names: Readonly<Record<string, string>> = {
    [key.credential]: 'key',
    [password.credential]: 'password',
    [other.credential]: 'other',
    [revoked.credential]: 'revoked',
    [tester.credential]: 'tester',
  };
  // Sessions of a test for which it does not matter where they came from.
  await sql.query("update session set source_address = '192.0.2.1'");
  const used = (session: string, source: string, also: string | null = null): Promise<unknown> =>
    sql.query('update session set source_address = $2::inet, also_credential_id = $3 where id = $1', [
      session,
      source,
      also,
    ]);
  await used(key.session, '198.51.100.7', password.credential);
  await used(other.session, '198.51.100.200');
  await used(revoked.session, '198.51.100.7');
  await used(tester.session, '198.51.100.7');
  await sql.query("update credential set state = 'revoked' where id = $1", [revoked.credential]);
  await sql.query("update account set is_self_test = true, name = 'self-test.' || name where id = $1", [
    tester.account,
  ]);
  await sql.query('set session_replication_role = replica');
  await sql.query("update credential set created_at = now() - interval '100 days' where id = any ($1::uuid[])", [
    [password.credential, other.credential],
  ]);
  await sql.query('set session_replication_role = origin');
  const [account] = await sql.query<{ name: string }>('select name from account where id = $1', [key.account]);
  const staleBefore = new Date(Date.now() - 90 * 86_400_000).toISOString();
  const cases: readonly (readonly [Selection, readonly string[]])[] = [
    [{}, ['key', 'other', 'password']],
    [{ customer: 'acme' }, ['key', 'password']],
    [{ account: account?.name ?? '' }, ['key', 'password']],
    [{ fingerprint: other.credential }, ['other']],
    [{ fingerprint: revoked.credential }, []],
    [{ staleBefore }, ['other', 'password']],
    [{ usedFrom: '198.51.100.7' }, ['key', 'password']],
    [{ usedFrom: '198.51.100.0/24' }, ['key', 'other', 'password']],
    [{ usedFrom: '203.0.113.0/24' }, []],
    [{ usedFrom: '198.51.100.0/24', customer: 'acme', staleBefore }, ['password']],
    [{ customer: 'nobody' }, []],
  ];
  for (const [chosen, expected] of cases) {
    const found = await warden.withSystem((tx) => selectCredentials(tx, chosen));
    t.same(found.map((one) => names[one.id] ?? one.id).sort(), expected, JSON.stringify(chosen));
  }
});
