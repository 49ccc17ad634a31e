// What a stolen credential could still take: what it paid for within a day costs it nothing, and everything else is
// charged again.
import { test } from 'tap';
import { exposedCustomers } from '../../server/admin/budget/budget-queries.ts';
import { Database } from '../../server/postgres/database.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';

test('what the next reading does not charge: for 24 hours, by this credential, of what it may read', async (t) => {
  const given = await startBankDatabase(t);
  const { sql } = given;
  const [acme, globex] = [await Bank.create(given, 'acme', 1000), await Bank.create(given, 'globex', 1000)];
  await acme.addFile(3);
  await globex.addFile(1);
  const [reader, colleague] = [await acme.addReader(), await acme.addReader()];
  const admin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => admin.close());
  const exposed = (account: string, credential: string) =>
    admin.withSystem((tx) => exposedCustomers(tx, account, credential));
  const mine = () => exposed(reader.account, reader.credential);
  const all = { customer: 'acme', files: 1, bytes: 3000 };
  t.match(await mine(), [{ ...all, paidBytes: 0 }]);
  t.equal((await mine()).length, 1, 'nothing of a customer that it may not read');
  const paid = (index: number, agoMinutes: number): Promise<unknown> =>
    sql.query(
      `insert into charged_item (credential_id, item, charged_at) select $1, object_id::uuid, clock_timestamp() - $3 * interval '1 minute' from extent where content_id = $4 and index = $2`,
      [reader.credential, index, agoMinutes, acme.files[0]?.content],
    );
  await paid(0, 1);
  await paid(1, 24 * 60 - 1);
  await paid(2, 24 * 60 + 1);
  t.match(await mine(), [{ ...all, paidBytes: 2000 }], 'a minute before the day is over, and not a minute after it');
  t.match(
    await exposed(colleague.account, colleague.credential),
    [{ ...all, paidBytes: 0 }],
    'the twin: a colleague has paid for nothing',
  );
  await sql.query("update customer set state = 'suspended' where id = $1", [acme.id]);
  t.same(await mine(), [], 'nothing is exposed of a customer that is suspended');
});
