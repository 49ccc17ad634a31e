// T-35: what one edge can make the warden store has a number and a rate, whatever the operation, and what is left of its self-tests goes.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { defaultNodeAllowances } from '../../server/config/node-allowances.ts';
import { fullPurse, takeOne } from '../../server/domain/allowance.ts';
import { idOf, type NodeName } from '../../server/domain/ids.ts';
import { edgeToWarden } from '../../server/rpc/edge-warden.ts';
import { NodeAccounts, type Payer, storedBy } from '../../server/warden/nodes/allowances.ts';
import { forgetUnusedKeys } from '../../server/warden/self-test/self-test-queries.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';

test('an allowance: so many at once, so many more a minute, never more than at once', async (t) => {
  const given = { atOnce: 3, perMinute: 6 };
  const purse = fullPurse(given, 1000);
  const take = (at: number): boolean => takeOne(purse, given, at);
  t.same([take(1000), take(1000), take(1000), take(1000)], [true, true, true, false]);
  t.same([take(10_999), take(11_000), take(11_000)], [false, true, false], 'one more after ten seconds, not before');
  t.same([take(5000), take(11_000)], [false, false], 'a clock that goes back gives nothing');
  t.same([take(3_600_000), take(3_600_000), take(3_600_000), take(3_600_000)], [true, true, true, false], 'an hour of rest is no hoard');
});

test('every operation that changes something takes of an allowance, ends what took of one, or is listed here', async (t) => {
  const free = Object.entries(edgeToWarden).filter(([op, { changes }]) => changes && storedBy[op as keyof typeof storedBy] === 'nothing');
  t.same(
    free.map(([op]) => op),
    // A rate of its own and no row; one row for each budget.
    ['exchange.sign', 'flow.permit'],
  );
  t.same(Object.keys(storedBy).sort(), Object.keys(edgeToWarden).sort());
});

test('over its allowance a node is refused, told of once, and others are not', async (t) => {
  const { sql, warden } = await startBankDatabase(t);
  const accounts = new NodeAccounts({ ...defaultNodeAllowances, verdicts: { atOnce: 2, perMinute: 1 } }, warden);
  const taken = { node: idOf<NodeName>('taken'), plane: 'partner' } as const;
  const other = { node: idOf<NodeName>('other'), plane: 'internal' } as const;
  await accounts.take('self-test.report', taken);
  await accounts.take('self-test.report', taken);
  for (let i = 0; i < 3; i += 1)
    await t.rejects(accounts.take('self-test.report', taken), { code: 'over-limit', message: /more than it may do/ });
  await t.resolves(accounts.take('self-test.report', other), 'the other node has its own');
  await t.resolves(accounts.take('console.run', taken), 'of another kind there is some left');
  await t.resolves(accounts.take('download.close', taken), 'what ends something is never refused');
  t.match(await sql.query('select kind, subject, count::int from alert'), [
    { kind: 'node.over-allowance', subject: 'taken/verdicts', count: 1 },
  ]);
});

test('one customer, or one account of our own, has a part of each purse, and the others go on', async (t) => {
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
    const accounts = new NodeAccounts({ ...defaultNodeAllowances, [kind]: { atOnce: 8, perMinute: 1 } }, warden, {
      payerOf: (token) => payers.get(token),
    });
    const node = { node: idOf<NodeName>(`n-${kind}`), plane: 'partner' } as const;
    const take = (token: string): Promise<void> => accounts.take(op, node, { token });
    const refused = { code: 'over-limit', message: /than one account may/ };
    await take('machine');
    await t.rejects(take('machine'), refused, `${op}: an eighth for one account`);
    await t.resolves(take('person'), 'a colleague can still lock it');
    await t.rejects(take('second'), refused, 'a quarter for all of its customer');
    await take('other');
    await take('ours');
    await take('ours');
    await t.rejects(take('ours'), refused, 'a quarter for one of our own, which serves many');
    await t.resolves(take('a session that nobody keeps in mind any more'));
    const alerts = await sql.query('select severity, text, account_id from alert where subject like $1 order by text', [`n-${kind}/%`]);
    t.match(alerts, [
      { severity: 'warning', text: /^acme-batch asks n-.* for more than one account may/, account_id: machine.account },
      { severity: 'warning', text: /^acme-second asks n-/, account_id: second.account },
      { severity: 'warning', text: /^processor asks n-/, account_id: ours.account },
    ]);
  }
});

test('unused keys of a self-test go with all that was theirs; of a customer nothing goes', async (t) => {
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
  t.same(await left(), [tester.credential, unused.credential, customers.credential].sort(), "a customer's key stays, whatever it is");
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
