// Who may decide a change, and until when: every refusal by its reason, beside the honest approval. The operators are
// real rows with seals.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import type { Proposal } from '../../server/rpc/change-document.ts';
import { hourMs, type Key, type Person, startTwoOperators } from '../support/two-operators.ts';

test('a change is approved by another operator, with a key of their own', async (t) => {
  const { alice, bob, applied, propose, approve, stateOf, isGenuine } = await startTwoOperators(t);
  const proposal = await propose(hourMs);
  for (const [what, key] of [
    ['the key that proposed it', alice.keys[0]],
    ["the proposer's second key", alice.keys[1]],
  ] as const)
    await t.rejects(
      approve(proposal, alice, key),
      { code: 'denied', message: /somebody else than the one who proposed it/ },
      what,
    );
  t.same([await stateOf(proposal), applied], ['proposed', []], 'nothing was applied');
  t.notOk(await isGenuine(proposal), 'and it stands for nothing');
  await approve(proposal, bob);
  t.same([await stateOf(proposal), applied], ['applied', ['account.expire']], 'the twin');
  t.ok(await isGenuine(proposal), 'what rows may name');
});

test('a change that has expired is not approved', async (t) => {
  const { sql, bob, applied, propose, approve, stateOf } = await startTwoOperators(t);
  const proposal = await propose(hourMs);
  // Time passes: the row is that of a change of two hours ago.
  await sql.query('set session_replication_role = replica');
  await sql.query(
    "update change set proposed_at = proposed_at - interval '2 hours', expires_at = expires_at - interval '2 hours'",
  );
  await sql.query('set session_replication_role = origin');
  await t.rejects(approve(proposal, bob), { code: 'conflict', message: /has expired: it has to be proposed again/ });
  t.same([await stateOf(proposal), applied], ['proposed', []], 'nothing was applied');
  const again = await propose(hourMs);
  await approve(again, bob);
  t.same([await stateOf(again), applied], ['applied', ['account.expire']], 'the twin: proposed again');
});

test('a change that its proposer approved with a second key proves nothing, whatever the row says', async (t) => {
  const { sql, alice, bob, propose, approval, isGenuine } = await startTwoOperators(t);
  /** Written by the owner of the database, who leaves the triggers out. */
  const written = async (signer: Person, key: Key): Promise<Proposal> => {
    const proposal = await propose(hourMs);
    const signed = approval(proposal, signer, key);
    await sql.query('set session_replication_role = replica');
    await sql.query(
      `update change set state = 'applied', decided_at = clock_timestamp(), decided_by = $2, approval = $3, approver_key = $4, approver_signature = $5 where id = $1`,
      [proposal.change, bob.id, signed.document, key.fingerprint, Buffer.from(signed.signature, 'base64')],
    );
    await sql.query('set session_replication_role = origin');
    return proposal;
  };
  t.notOk(await isGenuine(await written(alice, alice.keys[1])), 'both signatures are good, and by one person');
  t.notOk(await isGenuine(await written({ ...alice, name: bob.name }, alice.keys[1])), "under the other one's name");
  t.ok(await isGenuine(await written(bob, bob.keys[0])), 'the twin: by two');
});

test('a change is decided once: whoever comes later is told how', async (t) => {
  const { alice, bob, applied, propose, approve, reject, stateOf } = await startTwoOperators(t);
  const rejected = await propose(hourMs);
  await reject(rejected.change, alice);
  for (const late of [() => reject(rejected.change, bob), () => approve(rejected, bob)])
    await t.rejects(late(), { code: 'conflict', message: 'this change is rejected' });
  const approved = await propose(hourMs);
  await approve(approved, bob);
  for (const late of [() => reject(approved.change, bob), () => approve(approved, bob)])
    await t.rejects(late(), { code: 'conflict', message: 'this change is applied' });
  t.same([await stateOf(rejected), await stateOf(approved), applied], ['rejected', 'applied', ['account.expire']]);
  await t.rejects(reject(randomUUID(), bob), { code: 'not-found' });
});

test('what was signed for an emergency is nothing that somebody else approves, whoever lays it before him', async (t) => {
  const { sql, bob, applied, propose, prepare, approve, stateOf } = await startTwoOperators(t);
  const breakGlass = await prepare(['account.expire']);
  applied.length = 0;
  const used = await propose(hourMs, { breakGlass });
  // As the owner of the database writes it, who leaves the triggers out: as if it had never been decided.
  await sql.query('set session_replication_role = replica');
  await sql.query("update change set state = 'proposed', decided_at = null, break_glass_id = null where id = $1", [
    used.change,
  ]);
  await sql.query('set session_replication_role = origin');
  await t.rejects(approve(used, bob), { code: 'conflict', message: 'this was signed for an emergency' });
  t.same([await stateOf(used), applied], ['proposed', ['account.expire']], 'it is not done once more');
  const ordinary = await propose(hourMs);
  await approve(ordinary, bob);
  t.equal(await stateOf(ordinary), 'applied', 'the twin: what was signed for an approval');
});

test('in an emergency one operator does what was prepared, and nothing else', async (t) => {
  const { sql, applied, propose, prepare, stateOf } = await startTwoOperators(t);
  const breakGlass = await prepare(['account.expire']);
  applied.length = 0;
  for (const operation of ['account.set', 'operator.create'])
    await t.rejects(propose(hourMs, { breakGlass, operation }), { code: /denied|invalid/ }, operation);
  const params = { name: 'acme-batch', inDays: null, reason: 'a test' };
  await t.rejects(
    propose(hourMs, { breakGlass, operation: 'account.unlock', params: { name: 'acme-batch', reason: 'a test' } }),
    {
      code: 'denied',
      message: 'account.unlock is not among what was prepared: account.expire',
    },
  );
  await t.rejects(propose(hourMs, { breakGlass: randomUUID() }), { code: 'not-found' }, 'one that nobody prepared');
  t.same(applied, [], 'nothing was applied');
  const honest = await propose(hourMs, { breakGlass, params });
  t.same([await stateOf(honest), applied], ['applied', ['account.expire']], 'the twin: at once, and alone');
  const alarms = await sql.query<{ kind: string }>(
    "select kind from alert where kind like 'break-glass.%' order by kind",
  );
  t.same(
    alarms.map((one) => one.kind),
    ['break-glass.opened', 'break-glass.used'],
    'loud',
  );
  const again = await propose(hourMs, { breakGlass, params });
  t.equal(await stateOf(again), 'applied', 'once more, while it is open');
  const told = async (from: string, change: string): Promise<readonly string[]> =>
    (
      await sql.query<{ kind: string }>(
        `select kind from ${from} where kind like 'break-glass.%' and ${change} order by kind`,
      )
    ).map((one) => one.kind);
  for (const { change } of [honest, again]) {
    t.same(
      await told('alert', `facts ->> 'change' = '${change}'`),
      ['break-glass.used'],
      'every act is an alarm of its own',
    );
    t.same(
      await told('ledger', `sensitive ->> 'change' = '${change}'`),
      ['break-glass.used'],
      'and an entry of the record',
    );
  }
  t.same(await told('alert', "not facts ? 'change'"), ['break-glass.opened'], 'it is opened once');
});
