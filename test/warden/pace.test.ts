import { test } from 'tap';
import { Database } from '../../server/postgres/database.ts';
import { callPace, type PaceRequest } from '../../server/warden/budgets/charge-queries.ts';
import { Bank, type Reader, startBankDatabase } from '../support/bank.ts';

const MiB = 1024 ** 2;
const asks = (reader: Reader, bytes = 64 * MiB, direction: 'out' | 'in' = 'out'): PaceRequest => ({
  session: reader.session,
  customer: reader.customer,
  direction,
  bytes,
});

test('permits of one scope follow one another, whichever session and warden asks', async (t) => {
  const given = await startBankDatabase(t);
  const bank = await Bank.create(given, 'acme', 1000);
  const readers = [await bank.addReader(), await bank.addReader()];
  const other = new Database({ url: given.sql.wardenUrl, applicationName: 'second warden', connectionsMax: 2 });
  t.teardown(() => other.close());
  const rate = 8 * MiB;
  await given.sql.query("update budget set rate = $1 where rank = 3 and direction = 'out'", [rate]);
  const started = Date.now();
  const permits: { readonly from: number; readonly bytes: number }[] = [];
  await Promise.all(
    [given.warden, other].map(async (database, i) => {
      for (let round = 0; round < 25; round += 1) {
        const answers = await callPace(database, [asks(readers[i] as Reader), asks(readers[1 - i] as Reader)]);
        for (const { bytes, waitMs } of answers) permits.push({ from: Date.now() - started + waitMs, bytes });
      }
    }),
  );
  permits.sort((a, b) => a.from - b.from);
  t.equal(permits.length, 100);
  t.same([...new Set(permits.map((one) => one.bytes))], [rate / 8], 'an eighth of a second each');
  // Laid end to end: no permit begins before the one before it has flowed, within the rounding of milliseconds and of our own clock reading.
  const late = permits.map((one, i) => one.from - i * 125);
  const spread = Math.max(...late) - Math.min(...late);
  t.comment(`100 permits begin within ${spread} ms of their place on one line`);
  t.ok(Math.min(...late) > -50, 'never ahead of the rate');
  t.ok((permits.at(-1)?.from ?? 0) >= 99 * 125 - 50, 'the last one begins when 99 have flowed');
});

test('the narrowest scope decides how much and when; a scope without a rate does not', async (t) => {
  const given = await startBankDatabase(t);
  const bank = await Bank.create(given, 'acme', 1000);
  const [slow, fast] = [await bank.addReader(), await bank.addReader()];
  await given.sql.query('update budget set rate = null');
  t.same(
    await callPace(given.warden, [asks(slow), asks(slow)]),
    Array(2).fill({ bytes: 64 * MiB, waitMs: 0 }),
    'unpaced: all of it, at once',
  );
  await given.sql.query("update budget set rate = $1 where credential_id = $2 and direction = 'out'", [MiB, slow.credential]);
  const [first, second, third] = await callPace(given.warden, [asks(slow), asks(slow), asks(fast)]);
  t.match(first, { bytes: MiB / 8, waitMs: 0 });
  t.ok(second !== undefined && second.bytes === MiB / 8 && second.waitMs <= 125, 'the next piece of its own line');
  t.same(third, { bytes: 64 * MiB, waitMs: 0 }, 'others are not held up');
  // How long that is, is looked at where a pause of the machine does not matter.
  await given.sql.query("update budget set rate = 1024 where credential_id = $1 and direction = 'out'", [slow.credential]);
  const [, later] = await callPace(given.warden, [asks(slow), asks(slow)]);
  t.ok(later !== undefined && later.waitMs > 30_000 && later.waitMs <= 32_250, `behind the piece before it (${later?.waitMs} ms)`);
  t.match(
    await callPace(given.warden, [asks(slow, 64 * MiB, 'in')]),
    [{ bytes: 64 * MiB, waitMs: 0 }],
    'the other direction is its own flow',
  );
  await given.sql.query("update budget set rate = 1024 where credential_id = $1 and direction = 'in'", [fast.credential]);
  const [packet, next] = await callPace(given.warden, [asks(fast, 64 * MiB, 'in'), asks(fast, 64 * MiB, 'in')]);
  t.match(packet, { bytes: 32 * 1024, waitMs: 0 }, 'never less than a packet');
  t.ok(next !== undefined && next.waitMs > 30_000 && next.waitMs <= 32_000, `and it takes as long as it takes (${next?.waitMs} ms)`);
  t.match(await callPace(given.warden, [asks(fast, 100)]), [{ bytes: 100 }], 'never more than was asked for');
});
