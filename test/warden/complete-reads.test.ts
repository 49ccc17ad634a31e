// A read counts when every extent was released through the handle. The process that released them knows that, or else
// the record.
import { test } from 'tap';
import { callChargeBatch } from '../../server/warden/budgets/charge-queries.ts';
import { ReleasedExtents } from '../../server/warden/transfers/released-extents.ts';
import { handleClosed } from '../../server/warden/versions/counted-reads.ts';
import { Bank, type Reader, startBankDatabase } from '../support/bank.ts';

test('a process counts the extents that it released from the first on, up to the first gap', async (t) => {
  const released = new ReleasedExtents();
  const taken = (...indexes: readonly number[]): number => {
    for (const index of indexes) released.note('one', index);
    return released.take('one');
  };
  t.equal(taken(), 0, 'nothing');
  t.equal(taken(0), 1);
  t.equal(taken(0, 1, 2), 3);
  t.equal(taken(2, 1, 0), 3, 'in any order');
  t.equal(taken(0, 3, 1, 2, 2, 0), 4, 'and again');
  t.equal(taken(1, 2, 3), 0, 'not without the first');
  t.equal(taken(0, 1, 3), 2, 'not beyond a gap');
  t.equal(taken(), 0, 'a handle that was closed is forgotten');
  released.note('other', 0);
  t.equal(taken(0), 1);
  t.equal(released.take('other'), 1, 'each by itself');
  for (let index = 2000; index > 0; index -= 1) released.note('backwards', index);
  released.note('backwards', 0);
  t.equal(released.take('backwards'), 1, 'too strange an order says less than was released, never more');
  for (let i = 0; i < 20_001; i += 1) released.note(`h${i}`, 0);
  t.same(
    [released.take('h0'), released.take('h1'), released.take('h20000')],
    [0, 1, 1],
    'the oldest of too many is forgotten',
  );
});

test('a read counts when every extent was released through its handle', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const bank = await Bank.create(given, 'acme', 1000);
  for (let i = 0; i < 4; i += 1) await bank.addFile(3);
  await sql.query('update folder set reads_max = 2 where id = $1', [bank.folder]);
  const reads = async (file: number): Promise<unknown> => {
    const [row] = await sql.query('select complete_reads as reads, state from version where id = $1', [
      bank.files[file]?.version,
    ]);
    return row;
  };
  const release = async (reader: Reader, file: number, indexes: readonly number[]): Promise<void> => {
    const download = reader.downloads[file] ?? '';
    const answers = await callChargeBatch(
      warden,
      indexes.map((index) => ({ session: reader.session, download, index })),
    );
    t.ok(
      answers.every((one) => one.outcome === 'granted' || one.outcome === 'repeat'),
      'released',
    );
  };
  const close = (reader: Reader, file: number, released?: number): Promise<void> =>
    warden.withSystem((tx) =>
      handleClosed(tx, { download: reader.downloads[file] ?? '', session: reader.session }, released),
    );

  const first = await bank.addReader();
  await release(first, 0, [2, 0]);
  await close(first, 0);
  t.match(await reads(0), { reads: 0 }, 'two of three');
  await release(first, 0, [0]);
  await close(first, 0, 1);
  t.match(await reads(0), { reads: 0 }, 'one of them twice');
  await release(first, 0, [1]);
  await close(first, 0, 1);
  t.match(await reads(0), { reads: 1, state: 'published' }, 'all three by the record, whatever the process knows');

  await close(first, 1, 2);
  t.match(await reads(1), { reads: 0 }, 'the process does not know of all, and the record of none');
  await close(first, 1, 3);
  t.match(await reads(1), { reads: 1 }, 'the process knows of all: the record is not asked');
  await close(first, 1, 3);
  t.match(await reads(1), { reads: 2, state: 'withdrawn' }, 'the last read withdraws it');
  await close(first, 1, 3);
  t.match(await reads(1), { reads: 2 }, 'what left is not counted any more');

  const second = await bank.addReader();
  await release(first, 2, [0, 1]);
  await release(second, 2, [2]);
  await close(first, 2, 2);
  await close(second, 2);
  t.match(await reads(2), { reads: 0 }, 'what another handle read does not count');

  const [again] = await sql.query<{ id: string }>(
    `insert into download select (jsonb_populate_record(d, jsonb_build_object('id', gen_random_uuid()))).* from download d where d.id = $1 returning id`,
    [second.downloads[2]],
  );
  const beside: Reader = {
    ...second,
    downloads: second.downloads.map((id, file) => (file === 2 ? (again?.id ?? '') : id)),
  };
  await release(beside, 2, [0, 1]);
  await close(second, 2, 0);
  await close(beside, 2, 2);
  t.match(await reads(2), { reads: 0 }, 'nor what another handle of the same session read');
  await release(beside, 2, [2]);
  await close(beside, 2, 2);
  t.match(await reads(2), { reads: 1 }, 'twin: one of them read all of it');

  const ours = await bank.addReader({ isInternal: true });
  await release(ours, 3, [0, 1, 2]);
  await close(ours, 3, 3);
  t.match(await reads(3), { reads: 0 }, 'our own reads do not count');
  await sql.query('update folder set reads_max = null where id = $1', [bank.folder]);
  await release(second, 3, [0, 1, 2]);
  await close(second, 3, 3);
  t.match(await reads(3), { reads: 0 }, 'nor any in a folder that does not count');
  const [entries] = await sql.query<{ n: number }>(
    "select count(*)::int as n from ledger where kind = 'file.read-completely'",
  );
  t.equal(entries?.n, 4, 'each that counted is on the record');
});
