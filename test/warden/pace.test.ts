// The flow of bytes: permits of one scope, by session, plane and warden.
import { test } from 'tap';
import { CofferdamError } from '../../server/domain/errors.ts';
import type { WardenCalls } from '../../server/edge/seam/sftp-seam.ts';
import { Pacer } from '../../server/edge/sftp/pacer.ts';
import { Database } from '../../server/postgres/database.ts';
import { callPace, type PaceRequest, type Permit } from '../../server/warden/budgets/charge-queries.ts';
import { OpenPermits } from '../../server/warden/budgets/open-permits.ts';
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
  // 24 pieces of an eighth of a second each: as much as may be reserved ahead.
  const started = Date.now();
  const permits: { readonly from: number; readonly bytes: number }[] = [];
  await Promise.all(
    [given.warden, other].map(async (database, i) => {
      for (let round = 0; round < 6; round += 1) {
        const answers = await callPace(database, [asks(readers[i] as Reader), asks(readers[1 - i] as Reader)]);
        for (const { bytes, waitMs } of answers) permits.push({ from: Date.now() - started + waitMs, bytes });
      }
    }),
  );
  permits.sort((a, b) => a.from - b.from);
  t.equal(permits.length, 24);
  t.same([...new Set(permits.map((one) => one.bytes))], [rate / 8], 'an eighth of a second each');
  // Laid end to end: no permit begins before the one before it has flowed, within the rounding of milliseconds and of
  // our own clock.
  const late = permits.map((one, i) => one.from - i * 125);
  const spread = Math.max(...late) - Math.min(...late);
  t.comment(`24 permits begin within ${spread} ms of their place on one line`);
  t.ok(Math.min(...late) > -50, 'never ahead of the rate');
  t.ok((permits.at(-1)?.from ?? 0) >= 23 * 125 - 50, 'the last one begins when 23 have flowed');
});

const longestWait = (permits: readonly Permit[]): number => Math.max(0, ...permits.map((one) => one.waitMs));

test('nothing is reserved more than a few seconds ahead, whatever is asked for, and by whomever', async (t) => {
  const given = await startBankDatabase(t);
  const bank = await Bank.create(given, 'acme', 1000);
  const [greedy, honest] = [await bank.addReader(), await bank.addReader()];
  await given.sql.query("update budget set rate = $1 where rank = 5 and direction = 'out'", [8 * MiB]);
  await t.test('an edge that asks again and again and never waits', async (t) => {
    const got: Permit[] = [];
    for (let round = 0; round < 20; round += 1)
      got.push(...(await callPace(given.warden, Array(50).fill(asks(greedy)))));
    t.ok(longestWait(got) < 5000, `1,000 permits of 125 ms each would be two minutes (${longestWait(got)} ms)`);
    t.ok(
      got.some((one) => one.bytes === 0 && one.waitMs > 0),
      'who asks too often is told when to ask again',
    );
    const [permit] = await callPace(given.warden, [asks(honest)]);
    t.ok((permit?.waitMs ?? 0) < 5000, `the others wait for as long as that, not longer (${permit?.waitMs} ms)`);
  });
  await t.test('rows that already say something else', async (t) => {
    await given.sql.query("update flow set until = clock_timestamp() + interval '1 day'");
    const [first] = await callPace(given.warden, [asks(honest)]);
    t.ok((first?.waitMs ?? 0) < 5000, `are not believed (${first?.waitMs} ms)`);
    const [row] = await given.sql.query<{ ahead: number }>(
      'select extract(epoch from min(until) - clock_timestamp())::float8 as ahead from flow',
    );
    t.ok((row?.ahead ?? 99) < 5, `and are mended by the next permit (${row?.ahead} s)`);
  });
});

test('a plane that takes all it can leaves the other plane its half of the gateway', async (t) => {
  const given = await startBankDatabase(t);
  const bank = await Bank.create(given, 'acme', 1000);
  const [partner, internal] = [await bank.addReader(), await bank.addReader({ isInternal: true })];
  await given.sql.query("update budget set rate = $1 where rank = 5 and direction = 'out'", [8 * MiB]);
  await callPace(given.warden, Array(64).fill(asks(partner)));
  const shared = await callPace(given.warden, Array(3).fill(asks(internal)));
  t.same(
    shared.map((one) => one.waitMs),
    [0, 250, 500],
    'no queue is before it, and a megabyte takes a quarter of a second: half of the rate',
  );
  await given.sql.query('truncate flow');
  const alone = await callPace(given.warden, Array(3).fill(asks(internal)));
  t.same(
    alone.map((one) => one.waitMs),
    [0, 125, 250],
    'alone it has the whole',
  );
});

test('a session has one open permit: whoever does not wait for it gets no other', async (t) => {
  const permits = new OpenPermits();
  let given = 0;
  const give = async (waitMs: number): Promise<Permit> => {
    given += 1;
    return { bytes: 1000, waitMs };
  };
  t.same(await permits.ask('a', () => give(60_000)), { bytes: 1000, waitMs: 60_000 });
  const again = await permits.ask('a', () => give(0));
  t.equal(again.bytes, 0, 'before it has begun there is no next one');
  t.ok(again.waitMs > 0 && again.waitMs <= 60_000, `and it is said when (${again.waitMs} ms)`);
  t.same(await permits.ask('b', () => give(0)), { bytes: 1000, waitMs: 0 }, 'another session is not held up');
  t.same(await permits.ask('b', () => give(0)), { bytes: 1000, waitMs: 0 }, 'nor who has nothing to wait for');
  const slow = Promise.withResolvers<Permit>();
  const first = permits.ask('c', () => slow.promise);
  t.equal((await permits.ask('c', () => give(0))).bytes, 0, 'two at once are one');
  slow.resolve({ bytes: 5, waitMs: 0 });
  t.same(await first, { bytes: 5, waitMs: 0 });
  await t.rejects(
    permits.ask('d', () => Promise.reject(new Error('away'))),
    { message: 'away' },
  );
  t.equal((await permits.ask('d', () => give(0))).bytes, 1000, 'what was not given is not open');
  t.equal(given, 4);
});

/** A warden that is asked only for flow. */
function flowOnly(answers: (asked: number) => Permit): { readonly warden: WardenCalls; readonly asked: number[] } {
  const asked: number[] = [];
  const call = async (op: string, params: unknown): Promise<unknown> => {
    if (op !== 'flow.permit') throw new Error(op);
    const { bytes } = params as { readonly bytes: number };
    asked.push(bytes);
    return answers(bytes);
  };
  return { warden: { call, callRepeatable: call } as unknown as WardenCalls, asked };
}
const somebody = { id: '', token: '', account: '', kind: 'machine', start: [] } as const;

test('an edge reserves what it is about to send, not what it might send', async (t) => {
  const small = flowOnly((bytes) => ({ bytes, waitMs: 0 }));
  await new Pacer(somebody, small.warden, 'c', 'in').pass(10);
  t.same(small.asked, [10], 'ten bytes for a file of ten bytes');

  const big = flowOnly((bytes) => ({ bytes, waitMs: 0 }));
  const pacer = new Pacer(somebody, big.warden, 'c', 'out');
  for (let sent = 0; sent < 1024 * MiB; sent += 32_768) await pacer.pass(32_768);
  t.ok(big.asked.length < 40, `a gigabyte takes ${big.asked.length} permits`);
  t.ok(Math.max(...big.asked) <= 64 * MiB);
  t.ok(
    big.asked.reduce((sum, one) => sum + one, 0) <= 1024 * MiB + 64 * MiB,
    'and no more is reserved than one of them beyond it',
  );

  let refusals = 3;
  const held = flowOnly((bytes) =>
    refusals-- > 0 ? { bytes: 0, waitMs: 1 } : { bytes: Math.min(bytes, 4), waitMs: 0 },
  );
  await new Pacer(somebody, held.warden, 'c', 'out').pass(10);
  t.equal(held.asked.length, 6, 'who gets nothing asks again, and who gets a part for the rest');

  const over = flowOnly(() => {
    throw new CofferdamError('session-ended', 'the session is over');
  });
  await new Pacer(somebody, over.warden, 'c', 'in').pass(10);
  await t.rejects(
    new Pacer(somebody, over.warden, 'c', 'out').pass(10),
    { code: 'session-ended' },
    'what is stored is let go, what is read is not',
  );
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
  await given.sql.query("update budget set rate = $1 where credential_id = $2 and direction = 'out'", [
    MiB,
    slow.credential,
  ]);
  const [first, second, third] = await callPace(given.warden, [asks(slow), asks(slow), asks(fast)]);
  t.match(first, { bytes: MiB / 8, waitMs: 0 });
  t.ok(second !== undefined && second.bytes === MiB / 8 && second.waitMs <= 125, 'the next piece of its own line');
  t.same(third, { bytes: 64 * MiB, waitMs: 0 }, 'others are not held up');
  // How long that is, is tested where a pause of the machine does not matter.
  await given.sql.query("update budget set rate = 1024 where credential_id = $1 and direction = 'out'", [
    slow.credential,
  ]);
  const [, later] = await callPace(given.warden, [asks(slow), asks(slow)]);
  t.ok(
    later !== undefined && later.waitMs > 30_000 && later.waitMs <= 32_250,
    `behind the piece before it (${later?.waitMs} ms)`,
  );
  t.match(
    await callPace(given.warden, [asks(slow, 64 * MiB, 'in')]),
    [{ bytes: 64 * MiB, waitMs: 0 }],
    'the other direction is its own flow',
  );
  await given.sql.query("update budget set rate = 1024 where credential_id = $1 and direction = 'in'", [
    fast.credential,
  ]);
  const [packet, next] = await callPace(given.warden, [asks(fast, 64 * MiB, 'in'), asks(fast, 64 * MiB, 'in')]);
  t.match(packet, { bytes: 32 * 1024, waitMs: 0 }, 'never less than a packet');
  t.ok(
    next !== undefined && next.waitMs > 30_000 && next.waitMs <= 32_000,
    `and it takes as long as it takes (${next?.waitMs} ms)`,
  );
  t.match(await callPace(given.warden, [asks(fast, 100)]), [{ bytes: 100 }], 'never more than was asked for');
});
