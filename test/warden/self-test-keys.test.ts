// T-35: what a node may say about the key of its own account: the same key twice at once, or somebody else's. Neither
// is a defect.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import { idOf, type NodeName } from '../../server/domain/ids.ts';
import type { EdgeCaller } from '../../server/warden/callers/edge-caller.ts';
import type { Warden } from '../../server/warden/context/context.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { selfTestHandlers } from '../../server/warden/self-test/self-test.ts';
import { testerOf } from '../../server/warden/testers/tester.ts';
import { startBankDatabase, wideBudgets } from '../support/bank.ts';
import { temporaryDirectory } from '../support/database.ts';
import { UserKey } from '../support/impostor.ts';

async function setUp(t: Test) {
  const { sql, warden: database } = await startBankDatabase(t);
  const runtimeDirectory = join(temporaryDirectory(t), 'var');
  mkdirSync(runtimeDirectory);
  const config = {
    mode: 'development',
    runtimeDirectory,
    storeDirectory: runtimeDirectory,
    budgets: wideBudgets,
  } as Config;
  return { sql, warden: { database, keys: createKeyRing(config), budgets: config.budgets } as unknown as Warden };
}

const textOf = (key: UserKey): string => Buffer.from(key.blob).toString('base64');

test('one key twice at once is one key; a key of somebody else is refused in words and changes nothing', async (t) => {
  const { sql, warden } = await setUp(t);
  let run = 'a run';
  const handlers = selfTestHandlers(warden, () => run);
  const caller: EdgeCaller = { node: idOf<NodeName>('n'), plane: 'partner' };
  const begin = (key: UserKey): Promise<unknown> => handlers['self-test.begin']({ key: textOf(key) }, caller);
  const usable = async (): Promise<readonly string[]> =>
    (
      await sql.query<{ key: string }>(
        "select encode(public_key, 'base64') as key from credential where state = 'active'",
      )
    ).map(({ key }) => key.replaceAll('\n', ''));

  const first = new UserKey();
  const begun = await Promise.all(Array.from({ length: 6 }, () => begin(first)));
  t.equal(begun.length, 6, 'each is answered');
  t.same(await usable(), [textOf(first)]);

  run = 'the next one';
  const second = new UserKey();
  await begin(second);
  t.same(await usable(), [textOf(second)]);
  const other: EdgeCaller = { node: idOf<NodeName>('m'), plane: 'partner' };
  const taken = handlers['self-test.begin']({ key: textOf(second) }, other);
  await t.rejects(taken, { code: 'conflict', message: /another key/ }, 'what another account has');
  t.same(await usable(), [textOf(second)], 'and nothing was changed');
  run = 'a fourth one';
  await begin(second);
  t.same(await usable(), [textOf(second)], 'the twin: the key that is good');
});

test('an account that has the name of a node’s tester for a moment gets no key, and its codes are told to nobody', async (t) => {
  const { sql, warden } = await setUp(t);
  let run = 'a run';
  const handlers = selfTestHandlers(warden, () => run);
  const [caller, other]: readonly EdgeCaller[] = ['n', 'm'].map((node) => ({
    node: idOf<NodeName>(node),
    plane: 'partner',
  }));
  if (caller === undefined || other === undefined) throw new Error('two nodes');
  const begin = (of: EdgeCaller): Promise<unknown> => handlers['self-test.begin']({ key: textOf(new UserKey()) }, of);
  await begin(caller);
  await begin(other);
  const rows = () => sql.query('select id, account_id, state from credential order by id');
  const rename = async (...pairs: readonly (readonly [string, string])[]): Promise<void> => {
    await sql.query('set session_replication_role = replica');
    for (const [from, to] of pairs) await sql.query('update account set name = $2 where name = $1', [from, to]);
    await sql.query('set session_replication_role = origin');
  };
  const [mine, theirs] = [testerOf(caller.node, 'partner'), testerOf(other.node, 'partner')];
  const before = await rows();
  await rename([mine, 'away'], [theirs, mine]);
  run = 'the next one';
  const altered = { code: 'denied', message: /account .* was altered before/ };
  await t.rejects(handlers['self-test.code']({}, caller), altered, 'no codes');
  await t.rejects(begin(caller), { code: 'denied', message: /the account .* nothing was done/ }, 'no key');
  t.same(await rows(), before, 'and nothing was changed');
  await rename([mine, theirs], ['away', mine]);
  t.match(await handlers['self-test.code']({}, caller), { near: { length: 4 } }, 'the twin');
  run = 'a third one';
  await begin(caller);
  t.equal((await rows()).length, before.length + 1);
});

test('an altered factor gives no codes; the next run takes it away and has another one', async (t) => {
  const { sql, warden } = await setUp(t);
  let run = 'a run';
  const handlers = selfTestHandlers(warden, () => run);
  const caller: EdgeCaller = { node: idOf<NodeName>('n'), plane: 'partner' };
  const begin = (): Promise<unknown> => handlers['self-test.begin']({ key: textOf(new UserKey()) }, caller);
  await begin();
  await sql.query('set session_replication_role = replica');
  await sql.query("update second_factor set sealed_by = 'somebody'");
  await sql.query('set session_replication_role = origin');
  await t.rejects(handlers['self-test.code']({}, caller), {
    code: 'denied',
    message: /second-factor .* was altered before/,
  });
  run = 'the next one';
  await begin();
  t.match(await handlers['self-test.code']({}, caller), { near: { length: 4 } });
  t.match(
    await sql.query(
      "select text from alert where kind = 'row.broken-seal' and text like '%it was ended regardless of what it said%'",
    ),
    { length: 1 },
    'on the record',
  );
});
