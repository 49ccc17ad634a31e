// T-08, T-12: whom a wrong password counts against: the account, where it could have been its own; nobody but the name
// and the source otherwise.
import { createHash } from 'node:crypto';
import { test } from 'tap';
import { profiles } from '../../server/domain/algorithms.ts';
import type { Plane } from '../../server/domain/ids.ts';
import { type LoginDependencies, Logins } from '../../server/warden/authentication/login.ts';
import type { EdgeCaller } from '../../server/warden/callers/edge-caller.ts';
import { Shelf } from '../support/shelf.ts';

test('a guess counts against an account only from where the account could log in', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  await sql.query("insert into node (name, plane) values ('n', 'partner')");
  const none = { take: () => () => {} };
  const logins = new Logins({
    ...warden,
    config: shelf.config,
    keys: {},
    sessions: {},
    slots: { logins: none, hashes: none },
    exchanges: {
      find: () => ({ sessionIdentifier: Buffer.alloc(32), client: 'SSH-2.0-test' }),
      close: () => {},
      profileOf: () => profiles.default,
    },
    // Nobody has the time to hash: what was counted before that is what this is about.
    allowances: { mayHash: async () => false },
    startIdOf: () => '',
  } as unknown as LoginDependencies);
  t.teardown(() => logins.stop());
  let connections = 0;
  /** The counters that a wrong password of this name has taken. */
  const counted = async (username: string, address: string, plane: Plane = 'partner'): Promise<readonly string[]> => {
    connections += 1;
    await sql.query('delete from login_penalty');
    const evidence = { type: 'password', password: 'abcdefgh-wrong' } as const;
    const attempt = { connection: String(connections), source: { address, port: 1 }, username, evidence };
    await logins.attempt(attempt, { node: 'n', plane } as EdgeCaller);
    return (await sql.query<{ subject: string }>('select subject from login_penalty order by subject')).map(
      (row) => row.subject,
    );
  };
  const ofNobody = (username: string): string =>
    `account/${createHash('sha256').update(username).digest('hex').slice(0, 32)}/password`;
  const [own, foreign] = ['192.0.2.7', '198.51.100.7'];
  const from = (address: string): string => `source/n/${address}`;
  t.same(
    await counted('acme', foreign),
    [`account/${shelf.account}/password`, from(foreign)],
    'it may log in from everywhere',
  );
  await sql.query("update account set source_networks = '{192.0.2.0/24}'");
  t.same(
    await counted('acme', own),
    [`account/${shelf.account}/password`, from(own)],
    'from its own networks it counts',
  );
  t.same(
    await counted('acme', foreign),
    [ofNobody('acme'), from(foreign)],
    'from elsewhere it says nothing about the account',
  );
  t.same(await counted('acme', own, 'internal'), [ofNobody('acme'), from(own)], 'nor does it on the other plane');
  t.same(await counted('nobody', own), [ofNobody('nobody'), from(own)], 'as for a name that nobody has');
  for (const [what, set, back] of [
    ['locked', "state = 'suspended'", "state = 'active'"],
    ['over', "expires_at = now() - interval '1 second'", 'expires_at = null'],
  ]) {
    await sql.query(`update account set ${set}`);
    t.same(await counted('acme', own), [ofNobody('acme'), from(own)], `an account that is ${what}`);
    await sql.query(`update account set ${back}`);
  }
});
