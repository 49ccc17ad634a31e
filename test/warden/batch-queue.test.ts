// The queue that gathers charges into batches: its bounds, items that fail, and connections that are lost.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { batchMax, createBatchQueue } from '../../server/warden/budgets/batch-queue.ts';
import { type ChargeAnswer, type ChargeRequest, callChargeBatch } from '../../server/warden/budgets/charge-queries.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';

test('when an item breaks its batch, each item runs alone, and only that one fails', async (t) => {
  const given = await startBankDatabase(t);
  const bank = await Bank.create(given, 'acme', 1000);
  await bank.addFile(20);
  const reader = await bank.addReader();
  const sizes: number[] = [];
  const queue = createBatchQueue<ChargeRequest, ChargeAnswer>({
    url: given.sql.wardenUrl,
    applicationName: 'test',
    call: (database, items) => {
      sizes.push(items.length);
      return callChargeBatch(database, items);
    },
  });
  t.teardown(() => queue.stop());
  const extent = (index: number): ChargeRequest => ({
    session: reader.session,
    download: reader.downloads[0] ?? '',
    index,
  });
  const poison: ChargeRequest = { session: reader.session, download: 'not an id', index: 0 };
  const outcomes = await Promise.all(
    [extent(0), extent(1), poison, extent(2)].map((item) =>
      queue.request(item).then(
        (answer) => answer.outcome,
        (error: Error) => error.message,
      ),
    ),
  );
  t.same(outcomes, ['granted', 'granted', 'internal error', 'granted']);
  t.same(sizes, [4, 1, 1, 1, 1], 'all at once, then each alone');
  const [total] = await given.sql.query<{ total: string }>(
    "select total_bytes as total from budget where rank = 3 and direction = 'out'",
  );
  t.equal(Number(total?.total), 3000, 'charged once each');
  const [entries] = await given.sql.query<{ n: string }>(
    "select count(*) as n from ledger where kind = 'extent.granted'",
  );
  t.equal(Number(entries?.n), 3, 'and recorded once each');
});

test('batches are bounded, one runs at a time, and what arrives meanwhile shares the next', async (t) => {
  const given = await startBankDatabase(t);
  const sizes: number[] = [];
  let running = 0;
  let most = 0;
  const queue = createBatchQueue<number, number>({
    url: given.sql.wardenUrl,
    applicationName: 'test',
    call: async (database, items) => {
      running += 1;
      most = Math.max(most, running);
      sizes.push(items.length);
      await database.call('select 1', []);
      running -= 1;
      return items.map((item) => item * 2);
    },
  });
  t.teardown(() => queue.stop());
  const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => queue.request(i)));
  t.same(
    answers,
    Array.from({ length: 200 }, (_, i) => i * 2),
    'each its own answer',
  );
  t.same(sizes, [batchMax, batchMax, batchMax, 8]);
  t.equal(most, 1);
});

test('when the connection is lost or impossible, the outcome is unknown for the whole batch: nothing is retried', async (t) => {
  const given = await startBankDatabase(t);
  let calls = 0;
  const queue = createBatchQueue<number, number>({
    url: given.sql.wardenUrl.replace(/test_[0-9a-f]+/, `gone_${randomUUID().slice(0, 8)}`),
    applicationName: 'test',
    call: async (database, items) => {
      calls += 1;
      await database.call('select 1', []);
      return items;
    },
  });
  t.teardown(() => queue.stop());
  const outcomes = await Promise.all(
    [1, 2, 3].map((item) => queue.request(item).catch((error: { code: string }) => error.code)),
  );
  t.same(outcomes, ['unavailable', 'unavailable', 'unavailable']);
  t.equal(calls, 1);
});
