// T-19, T-35: a client without a credential takes nothing that a login from a known source needs: what stores nothing
// costs nothing, and unknown sources have only a part.
import { test } from 'tap';
import { defaultNodeAllowances } from '../../server/config/node-allowances.ts';
import { idOf, type NodeName } from '../../server/domain/ids.ts';
import { UsedAllowances } from '../../server/warden/nodes/allowances.ts';
import { LoginSources } from '../../server/warden/nodes/login-sources.ts';
import { testerOf } from '../../server/warden/testers/tester.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';

const partner = { node: idOf<NodeName>('partner-1'), plane: 'partner' } as const;
const internal = { node: idOf<NodeName>('internal-1'), plane: 'internal' } as const;
const probe = { type: 'public-key-probe', algorithm: 'ssh-ed25519', key: 'AAAA' } as const;
const password = { type: 'password', password: 'guess' } as const;
const message = (address: string, evidence: typeof probe | typeof password | { readonly type: 'none' } = password) => ({
  connection: 'c',
  source: { address, port: 1 },
  username: 'nobody',
  evidence,
});
const narrow = {
  ...defaultNodeAllowances,
  logins: { atOnce: 3, perMinute: 1 },
  strangers: { atOnce: 4, perMinute: 1 },
  strangerNetwork: { atOnce: 2, perMinute: 1 },
};
const refused = { code: 'over-limit' } as const;

test('messages that prove nothing are never refused, whoever sends them', async (t) => {
  const { sql, warden } = await startBankDatabase(t);
  const allowances = new UsedAllowances(narrow, warden);
  for (let i = 0; i < 50; i += 1)
    for (const evidence of [probe, { type: 'none' } as const])
      await allowances.take('login.attempt', partner, message('192.0.2.1', evidence));
  await t.resolves(
    allowances.take('login.attempt', partner, message('192.0.2.1')),
    'they took nothing of what a proof needs',
  );
  t.same(await sql.query('select 1 from alert'), []);
});

test('unknown sources have a part, each of their networks a part of that, and neither is taken from known sources', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const bank = await Bank.create(given, 'acme', 1000);
  const { account } = await bank.addReader();
  await sql.query(
    "insert into known_source (account_id, source) values ($1, '198.51.100.7'), ($1, '2001:db8:1:2::/64')",
    [account],
  );
  const allowances = new UsedAllowances(narrow, warden);
  const take = (address: string, caller: typeof partner | typeof internal = partner): Promise<void> =>
    allowances.take('login.attempt', caller, message(address));
  await take('203.0.113.1');
  await take('203.0.113.2');
  await t.rejects(take('203.0.113.3'), refused, 'the network had its part');
  await take('192.0.2.1');
  await take('2001:db8:9::1');
  await t.rejects(take('192.0.3.1'), refused, 'all strangers had theirs');
  await take('198.51.100.7');
  await take('2001:db8:1:2::99');
  await take('::ffff:198.51.100.7');
  await t.rejects(take('198.51.100.7'), refused, 'and even they have a number');
  await t.resolves(take('192.0.3.1', internal), 'the other node has its own');
  t.same(await sql.query('select kind, subject, severity from alert order by subject'), [
    { kind: 'node.over-allowance', subject: 'partner-1/logins', severity: 'critical' },
    { kind: 'node.over-allowance', subject: 'partner-1/strangers', severity: 'warning' },
  ]);
  t.match(await sql.query("select text, next_command from alert where severity = 'warning'"), [
    {
      text: /^strangers flood partner-1.*known sources, from which somebody has logged in, are still served/,
      next_command: /login.strangers/,
    },
  ]);
});

test('a source that was known too long ago, or only by the self-test of another node, is unknown', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const bank = await Bank.create(given, 'acme', 1000);
  const [old, own, other] = [await bank.addReader(), await bank.addReader(), await bank.addReader()];
  for (const [reader, name] of [
    [own, testerOf(partner.node, partner.plane)],
    [other, testerOf(internal.node, internal.plane)],
  ] as const)
    await sql.query('update account set is_self_test = true, name = $2 where id = $1', [reader.account, name]);
  await sql.query(
    "insert into known_source values ($1, '192.0.2.1', now() - interval '91 days'), ($2, '192.0.2.2', now()), ($3, '192.0.2.3', now())",
    [old.account, own.account, other.account],
  );
  const allowances = new UsedAllowances({ ...narrow, strangers: { atOnce: 1, perMinute: 1 } }, warden);
  const take = (address: string): Promise<void> => allowances.take('login.attempt', partner, message(address));
  await take('203.0.113.1');
  await t.rejects(take('192.0.2.1'), refused);
  await t.rejects(
    take('192.0.2.3'),
    refused,
    'an edge makes no place known to another edge by naming it for its own tests',
  );
  await t.resolves(take('192.0.2.2'), 'its own tests go on beside a flood');
});

test('addresses without end: the number of those that are remembered is bounded', async (t) => {
  const { warden } = await startBankDatabase(t);
  const sources = new LoginSources(warden, 86_400_000, 50);
  for (let i = 0; i < 80; i += 1) {
    t.notOk(await sources.isKnown(partner, `10.0.${i}.1`));
    t.ok(sources.takeOfNetwork(partner.node, `10.0.${i}.1`, narrow.strangerNetwork));
  }
  t.equal(sources.remembered, 100, 'the newest of each');
});
