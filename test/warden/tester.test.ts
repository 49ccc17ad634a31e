// T-20: the self-test of a node has an account, a customer and a folder that nothing else ever had: not the node itself
// on another plane, nor another node.
import { test } from 'tap';
import { idOf, type NodeName } from '../../server/domain/ids.ts';
import { ensureAccount, ensureCustomer } from '../../server/warden/self-test/self-test-queries.ts';
import { testerOf } from '../../server/warden/testers/tester.ts';
import { startBankDatabase } from '../support/bank.ts';

const node = (name: string): NodeName => idOf<NodeName>(name);

test('no two testers have one name, and each is a name that an account may have', (t) => {
  const long = 'n'.repeat(64);
  const names = [node('a'), node('b'), node(long), node(`${long.slice(1)}m`)].flatMap((one) =>
    (['partner', 'internal'] as const).map((plane) => testerOf(one, plane)),
  );
  t.equal(new Set(names).size, names.length);
  for (const name of names) t.match(name, /^self-test\.[a-z0-9._-]{1,54}$/);
  t.end();
});

test('a node that changes its plane begins anew: its account reaches its own customer and nothing else', async (t) => {
  const { sql, warden } = await startBankDatabase(t);
  for (const plane of ['partner', 'internal', 'partner'] as const) {
    const name = testerOf(node('edge-1'), plane);
    const { account, customer } = await warden.withSystem(async (tx) => {
      const own = await ensureCustomer(tx, name);
      return { customer: own.id, account: await ensureAccount(tx, own.id, name, plane, 'probe') };
    });
    t.match(await sql.query('select plane, customer_id from account where id = $1', [account]), [
      { plane, customer_id: plane === 'partner' ? customer : null },
    ]);
    t.same(await sql.query('select customer_id from folder_right where account_id = $1', [account]), [
      { customer_id: customer },
    ]);
  }
});
