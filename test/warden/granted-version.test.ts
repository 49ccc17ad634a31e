// The entry of a granted extent names the version on which its handle was opened, whatever the rows say at that
// moment.
import { test } from 'tap';
import { idOf, type NodeName, type VersionId } from '../../server/domain/ids.ts';
import { type ChargeRequest, callChargeBatch } from '../../server/warden/budgets/charge-queries.ts';
import { Bank, startWatchedBank } from '../support/bank.ts';

test('an extent is not released under the name of another version', async (t) => {
  const { given, sql, births, database } = await startWatchedBank(t);
  const bank = await Bank.create(given, 'acme', 1000);
  await bank.addFile(20);
  await bank.addFile(20);
  const reader = await bank.addReader();
  const [secret, harmless] = bank.files;
  const handle = reader.downloads[0] ?? '';
  // What download.grant would name: the handle remembers the version on which it was opened.
  const by = {
    account: reader.account,
    node: 'n' as NodeName,
    plane: 'partner',
    customer: bank.id,
    version: idOf<VersionId>(secret?.version ?? ''),
  } as unknown as NonNullable<ChargeRequest['by']>;
  const extent = (index: number): ChargeRequest => ({ session: reader.session, by, download: handle, index });
  const versions = (): Promise<readonly { version_id: string }[]> =>
    sql.query("select version_id from ledger_fresh where kind = 'extent.granted' order by id");
  t.match(
    await callChargeBatch(database, [extent(0)]),
    [{ outcome: 'granted', extent: { content: secret?.content } }],
    'twin',
  );
  t.same(await versions(), [{ version_id: secret?.version }]);
  await sql.query('set session_replication_role = replica');
  await sql.query('update version set content_id = gen_random_uuid() where id = $1', [secret?.version]);
  await sql.query('update version set content_id = $2 where id = $1', [harmless?.version, secret?.content]);
  await sql.query('update download set version_id = $2 where id = $1', [handle, harmless?.version]);
  const answers = await callChargeBatch(database, [extent(1)]);
  t.same(answers, [{ outcome: 'missing' }], 'nothing is released through a row that names another file');
  t.same(await versions(), [{ version_id: secret?.version }], 'and nothing says that it was');
  t.same(births.refusedUntil(performance.now()), [], 'the record holds what was written');
});
