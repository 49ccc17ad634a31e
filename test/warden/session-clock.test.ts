// The one idle clock of a session, its ends to the second, and what it may still do in its grace period.
import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { defaultLimits } from '../../server/config/config.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import { idOf, type NodeName, type SessionId } from '../../server/domain/ids.ts';
import { type SessionEnd, sessionEndNames, sessionEnds } from '../../server/domain/session-ends.ts';
import { Activity } from '../../server/edge/activity.ts';
import { LastActivity } from '../../server/edge/transport/last-activity.ts';
import { callChargeEnding } from '../../server/warden/budgets/charge-queries.ts';
import {
  findEnding,
  findOutlived,
  findOverdue,
  goesOn,
  graceMs,
  releaseOutlived,
  takeOverdue,
  touchSessions,
} from '../../server/warden/sessions/ending-queries.ts';
import { endSessions } from '../../server/warden/sessions/session-queries.ts';
import { discardExpired, findExpired } from '../../server/warden/transfers/sweep-queries.ts';
import { Bank, type Reader, startBankDatabase } from '../support/bank.ts';
import type { TestDatabase } from '../support/database.ts';
import { addContent, addFile, addVersion } from '../support/rows.ts';

const idleS = 60;
const node = idOf<NodeName>('n');

async function scene(t: Test) {
  const given = await startBankDatabase(t);
  const bank = await Bank.create(given, 'acme', 1000);
  const { sql, warden } = given;
  /** A session whose row was last told about activity this long ago, and that lives this much longer. */
  const session = async (seenS: number, livesS = 1000): Promise<Reader> => {
    const reader = await bank.addReader();
    await sql.query(
      `update session set idle_ms = $2, last_seen_at = clock_timestamp() - $3 * interval '1 second',
         expires_at = clock_timestamp() + $4 * interval '1 second', started_at = clock_timestamp() - interval '30 minutes' where id = $1`,
      [reader.session, idleS * 1000, seenS, livesS],
    );
    return reader;
  };
  const heard = (agoS: number) =>
    sql.query("update node set last_seen_at = clock_timestamp() - $1 * interval '1 second' where name = 'n'", [agoS]);
  const overdue = async (): Promise<ReadonlyMap<SessionId, SessionEnd>> =>
    new Map(
      (await warden.withSystem(async (tx) => takeOverdue(tx, await findOverdue(tx, 100)))).map((one) => [
        one.id,
        one.end,
      ]),
    );
  return { ...given, bank, session, heard, overdue };
}

test('a session is idle by the last report of its edge, and not a second before', async (t) => {
  const { session, heard, overdue, sql, warden } = await scene(t);
  const [before, at, after] = [await session(idleS - 2), await session(idleS), await session(idleS + 2)];
  await heard(0);
  let ended = await overdue();
  t.equal(ended.get(before.session), undefined, 'two seconds are left');
  t.equal(ended.get(at.session), 'idle', 'at its end');
  t.equal(ended.get(after.session), 'idle');
  // Nobody could report activity for a while: the warden was away, or the edge.
  await heard(30);
  ended = await overdue();
  t.same([...ended], [], 'who was silent when its edge was is not idle');
  await sql.query("update session set last_seen_at = clock_timestamp() - interval '118 seconds' where id = $1", [
    after.session,
  ]);
  await heard(100);
  t.same([...(await overdue())], [], 'an edge may be away for a minute longer than the idle life');
  await sql.query("update session set last_seen_at = clock_timestamp() - interval '122 seconds' where id = $1", [
    after.session,
  ]);
  t.same([...(await overdue())], [[after.session, 'lost']], 'then its sessions are lost, and not called idle');

  await t.test('activity moves the clock, only for the edge of the session, and never backwards', async (t) => {
    await heard(0);
    const told = (one: Reader, quietMs: number, by: NodeName | null) =>
      warden.withSystem((tx) => touchSessions(tx, [{ session: one.session, quietMs }], by));
    await told(after, 0, idOf<NodeName>('another'));
    t.equal((await overdue()).get(after.session), 'idle', 'another node cannot keep it alive');
    await told(after, 58_000, node);
    t.equal((await overdue()).get(after.session), undefined, 'its own can');
    await told(after, 3_000_000, node);
    t.equal((await overdue()).get(after.session), undefined, 'late news take nothing back');
  });

  await t.test('a renewal does not wait for a row that somebody ends', async (t) => {
    const another = AsyncLocalStorage.snapshot();
    await warden.withSystem(async (tx) => {
      await endSessions(tx, { session: after.session }, 'x', 'operator');
      const started = performance.now();
      await another(() =>
        warden.withSystem((own) => touchSessions(own, [{ session: after.session, quietMs: 0 }], node)),
      );
      t.ok(performance.now() - started < 10_000);
    });
  });
});

test('no activity reaches beyond the longest life', async (t) => {
  const { session, heard, overdue, sql } = await scene(t);
  await heard(0);
  const [before, at, windowed] = [await session(0, 2), await session(0, 0), await session(0, 0)];
  await sql.query(
    `with w as (insert into activation_window (id, account_id, opens_at, closes_at, opened_by, reason)
       values ($2, $3, now() - interval '1 hour', now(), 'x', 'x') returning id)
     update session set window_id = (select id from w), ends_as = 'window', started_at = clock_timestamp() - interval '5 minutes' where id = $1`,
    [windowed.session, randomUUID(), windowed.account],
  );
  const ended = await overdue();
  t.equal(ended.get(before.session), undefined);
  t.equal(ended.get(at.session), 'expired', 'active to its last moment');
  t.equal(ended.get(windowed.session), 'window', 'who came through a window goes with it, and is told so');
});

test('each end has words of its own', async (t) => {
  const words = sessionEndNames.map((name) => sessionEnds[name]);
  t.equal(new Set(words).size, words.length);
});

test('the table of lives names bounds and words that exist', async (t) => {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'operations', 'configuration.md'), 'utf8');
  const [, section = ''] = /### Lives and what resets them\n([\s\S]*?)\n\nA session ends at once/.exec(text) ?? [];
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1);
  t.ok(rows.length >= 10);
  const bounds = [...section.matchAll(/`(\w+Ms)`/g)].map(([, name]) => name ?? '');
  t.ok(bounds.includes('sessionIdleLifeMs') && bounds.includes('sessionAbsoluteLifeMs'));
  for (const name of bounds) t.ok(Object.hasOwn(defaultLimits, name), `${name} is a limit of the configuration`);
  const words: readonly string[] = Object.values(sessionEnds);
  const said = [...section.matchAll(/"([^"]+)"/g)].map(([, one]) => one ?? '');
  t.ok(said.length >= 3);
  for (const one of said) t.ok(words.includes(one), `a client reads: ${one}`);
  t.match(section, new RegExp(`grace period of an ended session \\| ${graceMs / 1000} s `));
});

/** An incomplete version that this session holds open. */
async function uploadOf(sql: TestDatabase, bank: Bank, holder: Reader) {
  const { account, session, customer } = holder;
  const file = await addFile(sql, { customer, folder: bank.folder });
  const content = await addContent(sql, { customer });
  const upload = randomUUID();
  const held = { customer, file, content, state: 'partial', account, session, upload } as const;
  return { version: await addVersion(sql, held), upload };
}

test('an ended session may release what it holds within its grace period, and can do nothing else', async (t) => {
  const { session, bank, sql, warden } = await scene(t);
  const holder = await session(0);
  const token = randomBytes(32).toString('base64url');
  const tokenHash = createHash('sha256').update(token).digest();
  await sql.query('update session set token_hash = $2 where id = $1', [holder.session, tokenHash]);
  const { version, upload } = await uploadOf(sql, bank, holder);
  const ending = () => warden.withSystem((tx) => findEnding(tx, tokenHash));
  const going = (orEnding: boolean) =>
    warden
      .withSystem(async () => true, {
        ...goesOn(holder.session, orEnding),
        otherwise: () => new CofferdamError('session-ended', 'it does not'),
      })
      .catch((error: unknown) => {
        if (error instanceof CofferdamError && error.code === 'session-ended') return false;
        throw error;
      });
  const charged = (bytes: number) =>
    callChargeEnding(warden, { session: holder.session, customer: bank.id, bytes, graceMs });
  const held = async (): Promise<boolean> => {
    await warden.withSystem(async (tx) => releaseOutlived(tx, (await findOutlived(tx, null, 100)).versions));
    const [row] = await sql.query<{ upload_id: string | null }>('select upload_id from version where id = $1', [
      version,
    ]);
    return row?.upload_id === upload;
  };
  const endedAgo = (ms: number) =>
    sql.query("update session set ended_at = clock_timestamp() - $2 * interval '1 millisecond' where id = $1", [
      holder.session,
      ms,
    ]);

  t.equal(await ending(), undefined, 'open, it is not ending');
  t.equal(await charged(1), false, 'and is charged as any other');
  t.same([await going(false), await going(true)], [true, true]);

  await warden.withSystem((tx) =>
    endSessions(tx, { credential: holder.credential }, 'the credential was suspended', 'credential'),
  );
  t.match(await ending(), { id: holder.session, node: 'n', customers: [bank.id] }, 'ended, it holds its upload');
  t.same(
    [await going(false), await going(true)],
    [false, true],
    'no other work of it begins, whatever a process remembers',
  );
  t.ok(await held(), 'and nobody has taken it from its hand');
  const used = async (): Promise<readonly number[]> =>
    (
      await sql.query<{ total: number }>(
        `select total_bytes as total from budget where direction = 'in' and (credential_id = $1 or account_id = $2 or customer_id = $3 and rank = 3
           or plane = 'partner' or rank = 5) order by rank`,
        [holder.credential, holder.account, bank.id],
      )
    ).map((one) => one.total);
  const before = await used();
  t.equal(await charged(700), true);
  t.same(
    await used(),
    before.map((one) => one + 700),
    'its last bytes are charged to all five scopes',
  );
  await sql.query("update budget set cap_hour_bytes = 1000 where direction = 'in' and credential_id = $1", [
    holder.credential,
  ]);
  t.equal(await charged(301), false, 'which refuse them as before');
  t.same(
    await used(),
    before.map((one) => one + 700),
    'and then count none',
  );
  t.equal(await charged(300), true);

  await endedAgo(graceMs - 2000);
  t.ok(await ending(), 'two seconds are left');
  t.ok(await held());
  await endedAgo(graceMs);
  t.equal(await ending(), undefined, 'the grace period is over');
  t.same([await going(false), await going(true), await charged(0)], [false, false, false]);
  t.notOk(await held(), 'and the upload is let go');
  // Its own life begins here, however long ago it was first opened.
  await sql.query("update version set opened_at = clock_timestamp() - interval '10 days' where id = $1", [version]);
  const given = async (): Promise<number> =>
    (await warden.withSystem(async (tx) => discardExpired(tx, await findExpired(tx, 60_000, 10), 60_000))).length;
  t.equal(await given(), 0, 'it can be continued for its whole life from now on');
  await sql.query("update version set let_go_at = clock_timestamp() - interval '59 seconds' where id = $1", [version]);
  t.equal(await given(), 0);
  await sql.query("update version set let_go_at = clock_timestamp() - interval '60 seconds' where id = $1", [version]);
  t.equal(await given(), 1, 'and is given up at its end');
});

test('a turn finds what ended since the turn before, also an end whose transaction took some seconds; a look at everything finds all', async (t) => {
  const { session, bank, sql, warden } = await scene(t);
  const holder = await session(0);
  const { version } = await uploadOf(sql, bank, holder);
  await sql.query(
    "update session set state = 'ended', end_reason = 'x', end_kind = 'lost', ended_at = clock_timestamp() - $2 * interval '1 millisecond' where id = $1",
    [holder.session, graceMs + 20_000],
  );
  /** What a turn finds after one that had looked at all ends up to this many seconds after this one. */
  const foundAfter = async (seconds: number | null): Promise<readonly string[]> => {
    const [row] = await sql.query<{ since: string }>(
      "select (ended_at + $2 * interval '1 second')::text as since from session where id = $1",
      [holder.session, seconds],
    );
    return (await warden.withSystem((tx) => findOutlived(tx, seconds === null ? null : (row?.since ?? ''), 10)))
      .versions;
  };
  t.same(await foundAfter(-1), [version], 'it ended since');
  t.same(await foundAfter(4), [version], 'it was written with this time, and committed after that turn');
  t.same(await foundAfter(6), [], 'what is later than that');
  t.same(await foundAfter(null), [version], 'is found by the look at everything');
});

test('an edge reports activity seldom, and the last one exactly', async (t) => {
  const clock = { at: performance.now() - 10, idleLifeMs: 400 };
  const quiet = { at: performance.now() - 500, idleLifeMs: 400 };
  const connections = new Set([
    { session: { id: 'a' }, activity: clock },
    { session: { id: 'b' }, activity: quiet },
    { session: undefined, activity: clock },
  ]);
  const activity = new Activity(connections);
  const lost = activity.due();
  t.same(
    lost.active.map((one) => one.session),
    ['a', 'b'],
    'a stranger is nobody yet',
  );
  t.same(activity.due().active.length, 2, 'what the warden did not take is told again');
  activity.due().told();
  t.same(activity.due().active, [], 'nothing happened since');
  clock.at = performance.now();
  let asked = performance.now();
  let next = activity.due();
  while (next.active.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    asked = performance.now();
    next = activity.due();
  }
  t.match(next.active, [{ session: 'a' }], 'a tenth of its idle life later');
  const quietMs = next.active[0]?.quietMs ?? -1;
  t.ok(
    quietMs >= asked - clock.at - 1 && quietMs <= performance.now() - clock.at + 1,
    `with the time at which it happened (${quietMs} ms ago)`,
  );
});

test('bytes that move are activity while a file is open; bytes that wait are not', async (t) => {
  const socket = { bytesRead: 0, bytesWritten: 0, writableLength: 0 };
  let isBusy = false;
  const activity = new LastActivity(socket as never, () => isBusy);
  let before = activity.at;
  const moved = async (change: Partial<typeof socket>): Promise<boolean> => {
    await new Promise((resolve) => setTimeout(resolve, 2));
    Object.assign(socket, change);
    const is = activity.at > before;
    before = activity.at;
    return is;
  };
  t.notOk(await moved({ bytesRead: 100 }), 'noise without an open file');
  isBusy = true;
  t.notOk(await moved({}), 'an open file alone is no activity');
  t.ok(await moved({ bytesRead: 101 }), 'one byte up');
  t.notOk(await moved({ bytesWritten: 1000, writableLength: 1000 }), 'bytes that the client does not take');
  t.ok(await moved({ writableLength: 999 }), 'one byte down');
});
