// Who may decide a change, and until when: every refusal by its reason, with the honest approval beside it. The operators are real rows with seals.
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import { documentHash, type Proposal, publicKeyFingerprint, signDocument } from '../../server/rpc/change-document.ts';
import { insertBreakGlass, insertOperator, insertOperatorKey } from '../../server/warden/changes/change-queries.ts';
import { type Apply, approveChange, proposeChange, rejectChange } from '../../server/warden/changes/changes.ts';
import { genuineAmong } from '../../server/warden/changes/genuine.ts';
import { sealing } from '../../server/warden/changes/seals.ts';
import type { Doing } from '../../server/warden/commands/use-cases.ts';
import { startSealBench } from '../support/seal-bench.ts';

const hourMs = 3_600_000;

type Key = { readonly privateKey: KeyObject; readonly spki: Buffer; readonly fingerprint: string };
type Person = { readonly name: string; readonly id: string; readonly keys: readonly [Key, Key] };

function makeOperatorKey(): Key {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return { privateKey, spki, fingerprint: publicKeyFingerprint(spki) };
}

async function setUp(t: Test) {
  const { sql, warden } = await startSealBench(t);
  const { database, keys } = warden;
  const people = await database.withSystem((tx) =>
    sealing(tx, warden, { maker: 'bootstrap', change: () => null }, async () => {
      const made: Person[] = [];
      for (const name of ['alice', 'bob']) {
        const id = await insertOperator(tx, name, 'security-officer');
        if (id === undefined) throw new Error('an operator of this name is there');
        const person: Person = { name, id, keys: [makeOperatorKey(), makeOperatorKey()] };
        for (const key of person.keys) await insertOperatorKey(tx, id, key.fingerprint, key.spki);
        made.push(person);
      }
      return made;
    }),
  );
  const [alice, bob] = people as [Person, Person];
  const [installation] = await sql.query<{ id: string }>('select id from installation');
  const applied: string[] = [];
  const apply: Apply = async (operation) => {
    applied.push(operation);
    return {};
  };
  const as = <T>(person: Person, work: (doing: Doing) => Promise<T>): Promise<T> =>
    database.withSystem((tx) =>
      sealing(tx, warden, { maker: 'operator', change: () => null }, () =>
        work({ tx, warden, operator: person.name, operatorId: person.id } as unknown as Doing),
      ),
    );
  const propose = async (livesMs: number, more: Partial<Proposal> = {}): Promise<Proposal> => {
    const now = Date.now();
    const proposal: Proposal = {
      type: 'cofferdam change/1',
      installation: installation?.id ?? '',
      change: randomUUID(),
      operation: 'account.expire',
      params: { name: 'acme-batch', inDays: null, reason: 'a test' },
      reason: 'a test',
      proposer: alice.name,
      key: alice.keys[0].fingerprint,
      proposedAt: new Date(now).toISOString(),
      expiresAt: new Date(now + livesMs).toISOString(),
      ...more,
    };
    await as(alice, (doing) => proposeChange(signDocument(proposal, alice.keys[0].privateKey), doing, apply));
    return proposal;
  };
  const approval = (proposal: Proposal, person: Person, key: Key) => {
    const [row] = [signDocument(proposal, alice.keys[0].privateKey)];
    return signDocument(
      {
        type: 'cofferdam approval/1',
        installation: proposal.installation,
        change: proposal.change,
        hash: documentHash(row?.document ?? ''),
        approver: person.name,
        key: key.fingerprint,
        approvedAt: new Date().toISOString(),
      },
      key.privateKey,
    );
  };
  const approve = (proposal: Proposal, person: Person, key: Key = person.keys[0]): Promise<unknown> =>
    as(person, (doing) => approveChange(approval(proposal, person, key), doing, apply));
  const reject = (change: string, person: Person): Promise<unknown> =>
    as(person, (doing) => rejectChange({ change, reason: 'a test' }, doing));
  const stateOf = async (proposal: Proposal): Promise<unknown> =>
    (await sql.query<{ state: string }>('select state from change where id = $1', [proposal.change]))[0]?.state;
  /** An emergency of alice, as two prepare it: by a change that both signed. */
  const prepare = async (operations: readonly string[]): Promise<string> => {
    const proposal = await propose(hourMs);
    await approve(proposal, bob);
    const glass = { operator: alice.id, operations, hours: 1, reason: 'a test', validDays: 1 };
    return database.withSystem((tx) =>
      sealing(tx, warden, { maker: 'bootstrap', change: () => proposal.change }, async () => (await insertBreakGlass(tx, glass)).id),
    );
  };
  const isGenuine = async (proposal: Proposal): Promise<boolean> =>
    (await database.withSystem((tx) => genuineAmong(tx, keys, [proposal.change], []))).has(proposal.change);
  return { sql, alice, bob, applied, propose, approval, approve, reject, prepare, stateOf, isGenuine };
}

test('a change is approved by somebody else, with a key of his own', async (t) => {
  const { alice, bob, applied, propose, approve, stateOf, isGenuine } = await setUp(t);
  const proposal = await propose(hourMs);
  for (const [what, key] of [
    ['the key that proposed it', alice.keys[0]],
    ["the proposer's second key", alice.keys[1]],
  ] as const)
    await t.rejects(approve(proposal, alice, key), { code: 'denied', message: /somebody else than the one who proposed it/ }, what);
  t.same([await stateOf(proposal), applied], ['proposed', []], 'nothing was applied');
  t.notOk(await isGenuine(proposal), 'and it stands for nothing');
  await approve(proposal, bob);
  t.same([await stateOf(proposal), applied], ['applied', ['account.expire']], 'the twin');
  t.ok(await isGenuine(proposal), 'what rows may name');
});

test('a change that has expired is not approved', async (t) => {
  const { sql, bob, applied, propose, approve, stateOf } = await setUp(t);
  const proposal = await propose(hourMs);
  // Time passes: the row is that of a change of two hours ago.
  await sql.query('set session_replication_role = replica');
  await sql.query("update change set proposed_at = proposed_at - interval '2 hours', expires_at = expires_at - interval '2 hours'");
  await sql.query('set session_replication_role = origin');
  await t.rejects(approve(proposal, bob), { code: 'conflict', message: /has expired: it has to be proposed again/ });
  t.same([await stateOf(proposal), applied], ['proposed', []], 'nothing was applied');
  const again = await propose(hourMs);
  await approve(again, bob);
  t.same([await stateOf(again), applied], ['applied', ['account.expire']], 'the twin: proposed again');
});

test('a change that its proposer approved with a second key stands for nothing, whatever the row says', async (t) => {
  const { sql, alice, bob, propose, approval, isGenuine } = await setUp(t);
  /** As the owner of the database writes it, who leaves the triggers out. */
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

test('a change is decided once: who comes later is told how', async (t) => {
  const { alice, bob, applied, propose, approve, reject, stateOf } = await setUp(t);
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

test('in an emergency one operator does what was prepared, and nothing else', async (t) => {
  const { sql, applied, propose, prepare, stateOf } = await setUp(t);
  const breakGlass = await prepare(['account.expire']);
  applied.length = 0;
  for (const operation of ['account.set', 'operator.create'])
    await t.rejects(propose(hourMs, { breakGlass, operation }), { code: /denied|invalid/ }, operation);
  const params = { name: 'acme-batch', inDays: null, reason: 'a test' };
  await t.rejects(propose(hourMs, { breakGlass, operation: 'account.unlock', params: { name: 'acme-batch', reason: 'a test' } }), {
    code: 'denied',
    message: 'account.unlock is not among what was prepared: account.expire',
  });
  await t.rejects(propose(hourMs, { breakGlass: randomUUID() }), { code: 'not-found' }, 'one that nobody prepared');
  t.same(applied, [], 'nothing was applied');
  const honest = await propose(hourMs, { breakGlass, params });
  t.same([await stateOf(honest), applied], ['applied', ['account.expire']], 'the twin: at once, and alone');
  const alarms = await sql.query<{ kind: string }>("select kind from alert where kind like 'break-glass.%' order by kind");
  t.same(
    alarms.map((one) => one.kind),
    ['break-glass.opened', 'break-glass.used'],
    'loud',
  );
  const again = await propose(hourMs, { breakGlass, params });
  t.equal(await stateOf(again), 'applied', 'once more, while it is open');
  const told = async (from: string, change: string): Promise<readonly string[]> =>
    (await sql.query<{ kind: string }>(`select kind from ${from} where kind like 'break-glass.%' and ${change} order by kind`)).map(
      (one) => one.kind,
    );
  for (const { change } of [honest, again]) {
    t.same(await told('alert', `facts ->> 'change' = '${change}'`), ['break-glass.used'], 'every act is an alarm of its own');
    t.same(await told('ledger', `sensitive ->> 'change' = '${change}'`), ['break-glass.used'], 'and an entry of the record');
  }
  t.same(await told('alert', "not facts ? 'change'"), ['break-glass.opened'], 'it is opened once');
});
