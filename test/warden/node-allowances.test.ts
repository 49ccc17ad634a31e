// T-35: what one edge can make the warden store has a number and a rate, whatever the operation, and what is left of
// its self-tests is removed.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { defaultNodeAllowances } from '../../server/config/node-allowances.ts';
import { fullPurse, takeOne } from '../../server/domain/allowance.ts';
import { idOf, type NodeName } from '../../server/domain/ids.ts';
import { Database } from '../../server/postgres/database.ts';
import { edgeToWarden } from '../../server/rpc/edge-warden.ts';
import { type Payer, storedBy, UsedAllowances } from '../../server/warden/nodes/allowances.ts';
import { registerNode } from '../../server/warden/nodes/node-queries.ts';
import { forgetUnusedKeys } from '../../server/warden/self-test/self-test-queries.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';

test('an allowance: a number at once, further ones each minute, never more than at once', async (t) => {
  const given = { atOnce: 3, perMinute: 6 };
  const purse = fullPurse(given, 1000);
  const take = (at: number): boolean => takeOne(purse, given, at);
  t.same([take(1000), take(1000), take(1000), take(1000)], [true, true, true, false]);
  t.same([take(10_999), take(11_000), take(11_000)], [false, true, false], 'one more after ten seconds, not before');
  t.same([take(5000), take(11_000)], [false, false], 'a clock that goes back gives nothing');
  t.same(
    [take(3_600_000), take(3_600_000), take(3_600_000), take(3_600_000)],
    [true, true, true, false],
    'an hour of rest is no hoard',
  );
});

test('every operation that changes something takes from an allowance, ends what took from one, or is listed here', async (t) => {
  const free = Object.entries(edgeToWarden).filter(
    ([op, { changes }]) => changes && storedBy[op as keyof typeof storedBy] === 'nothing',
  );
  t.same(
    free.map(([op]) => op),
    // One row for each budget.
    ['flow.permit'],
  );
  t.same(Object.keys(storedBy).sort(), Object.keys(edgeToWarden).sort());
});

test('a node over its allowance is refused and reported once, and others are not refused', async (t) => {
  const { sql, warden } = await startBankDatabase(t);
  const allowances = new UsedAllowances({ ...defaultNodeAllowances, verdicts: { atOnce: 2, perMinute: 1 } }, warden);
  const taken = { node: idOf<NodeName>('taken'), plane: 'partner' } as const;
  const other = { node: idOf<NodeName>('other'), plane: 'internal' } as const;
  await allowances.take('self-test.report', taken);
  await allowances.take('self-test.report', taken);
  for (let i = 0; i < 3; i += 1)
    await t.rejects(allowances.take('self-test.report', taken), {
      code: 'over-limit',
      message: /this server or your network is at its limit/,
    });
  await t.resolves(allowances.take('self-test.report', other), 'the other node has its own');
  await t.resolves(allowances.take('console.run', taken), 'of another kind there is some left');
  await t.resolves(allowances.take('download.close', taken), 'what ends something is never refused');
  t.match(await sql.query('select kind, subject, count::int from alert'), [
    { kind: 'node.over-allowance', subject: 'taken/verdicts', count: 1 },
  ]);
});

test('passwords from unknown sources: a node has a number of them hashed, a network a quarter; a flood is a warning', async (t) => {
  const { sql, warden } = await startBankDatabase(t);
  const allowances = new UsedAllowances(
    { ...defaultNodeAllowances, strangerHashes: { atOnce: 8, perMinute: 1 } },
    warden,
  );
  const node = { node: idOf<NodeName>('partner-1'), plane: 'partner' } as const;
  const other = { node: idOf<NodeName>('internal-1'), plane: 'internal' } as const;
  const may = (address: string): Promise<boolean> => allowances.mayHash(node, address);
  t.same(
    [await may('192.0.2.1'), await may('192.0.2.2'), await may('192.0.2.3')],
    [true, true, false],
    'a network has its quarter',
  );
  for (let i = 0; i < 6; i += 1) t.equal(await may(`198.51.${i}.1`), true);
  t.same(
    [await may('203.0.113.1'), await may('203.0.113.2')],
    [false, false],
    'made-up sources do not go beyond the limit of the node',
  );
  t.equal(await allowances.mayHash(other, '203.0.113.1'), true, 'the other node has its own');
  t.match(await sql.query('select severity, subject, count::int from alert'), [
    { severity: 'warning', subject: 'partner-1/strangerHashes', count: 1 },
  ]);
});

test('signatures: unknown sources, known sources and rekeys have separate allowances, and an unknown source costs no look-up', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const bank = await Bank.create(given, 'acme', 1000);
  const { account } = await bank.addReader();
  await sql.query("insert into known_source (account_id, source) values ($1, '198.51.100.7')", [account]);
  let looks = 0;
  const counted = new Proxy(warden, {
    get: (target, name) => {
      if (name === 'withSystem') looks += 1;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const few = { atOnce: 4, perMinute: 1 };
  const allowances = new UsedAllowances(
    { ...defaultNodeAllowances, signatures: few, strangerSignatures: few, rekeys: few },
    counted,
  );
  const node = { node: idOf<NodeName>('partner-1'), plane: 'partner' } as const;
  const sign = (address: string, isFirst = true): Promise<void> =>
    allowances.take('exchange.sign', node, { isFirst, source: { address, port: 1 } });
  const refused = { code: 'over-limit' } as const;
  for (let i = 0; i < 4; i += 1) await sign(`203.0.${i}.1`);
  t.equal(looks, 0, 'as long as strangers have some, nobody is looked up');
  await t.rejects(sign('203.0.9.1'), refused, 'strangers have had theirs');
  for (let i = 0; i < 4; i += 1) await sign('198.51.100.7');
  await t.rejects(sign('198.51.100.7'), refused, 'a known source has its own, with a number');
  await sign('203.0.9.1', false);
  await t.rejects(sign('203.0.9.2', false), refused, 'one network of connections that go on has a quarter');
  for (let i = 0; i < 3; i += 1) await t.resolves(sign(`198.51.${i}.1`, false), 'and the others go on');
  await t.rejects(sign('198.51.9.1', false), refused, 'all of them have a number, too');
  t.match(await sql.query('select severity, subject from alert order by subject'), [
    { severity: 'critical', subject: 'partner-1/rekeys' },
    { severity: 'warning', subject: 'partner-1/rekeys/203.0.9.0/24' },
    { severity: 'critical', subject: 'partner-1/signatures' },
    { severity: 'warning', subject: 'partner-1/strangerSignatures' },
  ]);
});

test('proofs of host keys: one of the allowance for each key, none for doubles, and nothing that key exchanges need', async (t) => {
  const { warden } = await startBankDatabase(t);
  const allowances = new UsedAllowances({ ...defaultNodeAllowances, proofs: { atOnce: 6, perMinute: 1 } }, warden);
  const node = { node: idOf<NodeName>('partner-1'), plane: 'partner' } as const;
  const [token, keys] = ['t'.repeat(43), ['AAAA', 'BBBB', 'CCCC']];
  const prove = (hostKeys: readonly string[]): Promise<void> =>
    allowances.take('exchange.prove-host-keys', node, { token, hostKeys });
  await prove(keys);
  await prove(keys);
  await t.rejects(prove(['AAAA']), { code: 'over-limit' });
  await t.resolves(
    allowances.take('exchange.sign', node, { isFirst: false, source: { address: '192.0.2.1', port: 1 } }),
  );
  const { params } = edgeToWarden['exchange.prove-host-keys'];
  t.equal(params.safeParse({ token, hostKeys: keys }).success, true);
  t.match(params.safeParse({ token, hostKeys: ['AAAA', 'BBBB', 'AAAA'] }).error?.message, /each host key once/);
});

test('a greeting of the same run, or one that is not served, takes nothing and moves no clock', async (t) => {
  const { sql, warden } = await startBankDatabase(t);
  const caller = { node: idOf<NodeName>('partner-9'), plane: 'partner' } as const;
  const allowances = new UsedAllowances({ ...defaultNodeAllowances, runs: { atOnce: 2, perMinute: 1 } }, warden);
  const greet = (startId: string, database = warden): Promise<boolean> =>
    allowances.whenNew('runs', caller, (take) =>
      database.withSystem(async (tx) => {
        const isNew = await registerNode(tx, { ...caller, startId, nativeCipher: true });
        if (isNew) take();
        return isNew;
      }),
    );
  const away = new Database({
    url: sql.wardenUrl.replace(/test_[0-9a-f]+/, 'gone'),
    applicationName: 'test',
    connectionsMax: 1,
  });
  t.teardown(() => away.close());
  const [first, second, third] = [randomUUID(), randomUUID(), randomUUID()];
  for (let i = 0; i < 5; i += 1) await t.rejects(greet(first, away), { code: 'unavailable' }, 'the database is away');
  t.equal(await greet(first), true);
  const seen = async (): Promise<unknown> =>
    sql.query("select start_id, last_seen_at, started_at from node where name = 'partner-9'");
  await sql.query("update node set last_seen_at = clock_timestamp() - interval '1 hour' where name = 'partner-9'");
  const before = await seen();
  for (let i = 0; i < 5; i += 1) t.equal(await greet(first), false, 'a run that greets again');
  t.same(
    await seen(),
    before,
    "the clock by which its sessions are idle stands: only a lease's renewal tells who was active",
  );
  t.equal(await greet(second), true);
  await t.rejects(greet(third), { code: 'over-limit' }, 'runs have their number');
  t.match(await seen(), [{ start_id: second }], 'and what was refused is not registered');
  t.match(await sql.query("select subject from alert where kind = 'node.over-allowance'"), [
    { subject: 'partner-9/runs' },
  ]);
});

test('an alarm that could not be written counts as not raised: the next refusal raises it', async (t) => {
  const { sql, warden } = await startBankDatabase(t);
  const allowances = new UsedAllowances({ ...defaultNodeAllowances, verdicts: { atOnce: 1, perMinute: 1 } }, warden);
  const node = { node: idOf<NodeName>('n'), plane: 'partner' } as const;
  const ask = (): Promise<void> => allowances.take('self-test.report', node);
  const alerts = (): Promise<readonly unknown[]> => sql.query('select subject, count::int from alert');
  await ask();
  await sql.query('revoke insert on alert from cofferdam_warden');
  await t.rejects(ask(), { code: 'bug' });
  await sql.query('grant insert on alert to cofferdam_warden');
  t.same(await alerts(), []);
  for (let i = 0; i < 3; i += 1) await t.rejects(ask(), { code: 'over-limit' });
  t.same(await alerts(), [{ subject: 'n/verdicts', count: 1 }], 'once, then');
});

test('one customer, or one internal account, has a part of each allowance, and the others continue', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const [acme, globex] = [await Bank.create(given, 'acme', 1000), await Bank.create(given, 'globex', 1000)];
  const machine = { customer: acme.id, account: (await acme.addReader()).account, name: 'acme-batch' };
  const second = { customer: acme.id, account: (await acme.addReader()).account, name: 'acme-second' };
  const person = { customer: acme.id, account: (await acme.addReader()).account, name: 'acme' };
  const other = { customer: globex.id, account: (await globex.addReader()).account, name: 'globex' };
  const ours = { customer: null, account: (await globex.addReader({ isInternal: true })).account, name: 'processor' };
  const payers = new Map<string, Payer>([
    ['machine', machine],
    ['person', person],
    ['second', second],
    ['other', other],
    ['ours', ours],
  ]);
  for (const [op, kind] of [
    ['console.run', 'console'],
    ['tree.list', 'names'],
    ['upload.begin-extent', 'extents'],
  ] as const) {
    const allowances = new UsedAllowances({ ...defaultNodeAllowances, [kind]: { atOnce: 8, perMinute: 1 } }, warden, {
      payerOf: (token) => payers.get(token),
    });
    const node = { node: idOf<NodeName>(`n-${kind}`), plane: 'partner' } as const;
    const take = (token: string): Promise<void> => allowances.take(op, node, { token });
    const refused = { code: 'over-limit', message: /your account or your organisation is at its limit/ };
    await take('machine');
    await t.rejects(take('machine'), refused, `${op}: an eighth for one account`);
    await t.resolves(take('person'), 'a colleague can still lock it');
    await t.rejects(take('second'), refused, 'a quarter for all of its customer');
    await take('other');
    await take('ours');
    await take('ours');
    await t.rejects(take('ours'), refused, 'a quarter for one of our own, which serves many');
    await t.resolves(take('a session that nobody keeps in mind any more'));
    const alerts = await sql.query('select severity, text, account_id from alert where subject like $1 order by text', [
      `n-${kind}/%`,
    ]);
    t.match(alerts, [
      {
        severity: 'warning',
        text: /^acme-batch has used up the allowance of one account, or of its whole customer, on n-/,
        account_id: machine.account,
      },
      {
        severity: 'warning',
        text: /^acme-second has used up the allowance of one account, or of its whole customer, on n-/,
        account_id: second.account,
      },
      {
        severity: 'warning',
        text: /^processor has used up the allowance of one account, or of its whole customer, on n-/,
        account_id: ours.account,
      },
    ]);
  }
});

test('unused keys of a self-test are removed with everything that was theirs; nothing of a customer is', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const bank = await Bank.create(given, 'self-test', 1000);
  await bank.addFile(1);
  const tester = await bank.addReader();
  const unused = await bank.addCredential(tester.account);
  const customers = await bank.addReader();
  await sql.query("update account set is_self_test = true, name = 'self-test.n' where id = $1", [tester.account]);
  await sql.query("update account set name = 'customer' where id = $1", [customers.account]);
  await sql.query('delete from download where session_id in ($1, $2)', [unused.session, customers.session]);
  await sql.query('delete from session where id in ($1, $2)', [unused.session, customers.session]);
  await sql.query("update credential set state = 'revoked'");
  await sql.query('insert into charged_item values ($1, $2, clock_timestamp())', [unused.credential, randomUUID()]);
  const left = async (): Promise<readonly string[]> =>
    (await sql.query<{ id: string }>('select id from credential order by id')).map((row) => row.id);
  await warden.withSystem((tx) => forgetUnusedKeys(tx, 'customer'));
  t.same(
    await left(),
    [tester.credential, unused.credential, customers.credential].sort(),
    "a customer's key stays, whatever it is",
  );
  await warden.withSystem((tx) => forgetUnusedKeys(tx, 'self-test.n'));
  t.same(await left(), [tester.credential, customers.credential].sort(), 'the key that a session names stays');
  for (const [text, id] of [
    ['select 1 from budget where credential_id = $1', unused.credential],
    ['select 1 from charged_item where credential_id = $1', unused.credential],
    ["select 1 from seal where kind = 'credential' and row_id = $1::text", unused.credential],
  ] as const)
    t.same(await sql.query(text, [id]), [], text);
  t.equal((await sql.query('select 1 from budget where credential_id = $1', [tester.credential])).length, 3);
  await t.rejects(
    warden.withSystem((tx) => tx.query('delete from credential')),
    { cause: { code: '42501' } },
    'no role of ours deletes a credential by itself',
  );
});
