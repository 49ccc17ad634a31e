// T-19, T-35: the counters of guesses as the database keeps them: parallel guesses gain nothing, a success takes back
// one guess, and what is counted against a source on one edge pauses nobody on another.
import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { test } from 'tap';
import { defaultLimits } from '../../server/config/config.ts';
import { defaultCredentialAges } from '../../server/config/credential-ages.ts';
import { type AccountId, idOf, type NodeName } from '../../server/domain/ids.ts';
import { Database } from '../../server/postgres/database.ts';
import { findAccount } from '../../server/warden/authentication/login-queries.ts';
import { verifyTicket } from '../../server/warden/authentication/verify-evidence.ts';
import { knownDays, Penalties } from '../../server/warden/guesses/penalties.ts';
import { rememberSource, settleGuess, takeGuess } from '../../server/warden/guesses/penalty-queries.ts';
import { firstBroken } from '../../server/warden/seals/seals.ts';
import { withWardensKeys } from '../support/as-warden.ts';
import { createTestDatabase, type Teardown, type TestDatabase } from '../support/database.ts';
import { addAccount, addCustomer } from '../support/rows.ts';
import { startSealBench } from '../support/seal-bench.ts';

const rules = { free: 1, firstMs: 600_000, longestMs: 600_000, forgetMs: 86_400_000 } as const;

async function setUp(
  t: Teardown,
): Promise<{ readonly sql: TestDatabase; readonly warden: Database; readonly account: AccountId }> {
  const sql = await createTestDatabase(t);
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 4 });
  t.teardown(() => warden.close());
  return { sql, warden, account: await makeAccount(sql) };
}

async function makeAccount(sql: TestDatabase): Promise<AccountId> {
  const customer = await addCustomer(sql, { name: 'acme' });
  return addAccount(sql, { customer, name: 'acme', kind: 'person' });
}

const failures = async (sql: TestDatabase, subject: string): Promise<number | undefined> =>
  (await sql.query<{ failures: number }>('select failures from login_penalty where subject = $1', [subject]))[0]
    ?.failures;

test('of two guesses at the same instant one is examined, and only that one counts', async (t) => {
  const { sql, warden } = await setUp(t);
  const subjects = ['account/x/password'];
  // Those who guess are not the one who holds the counter.
  const others = AsyncLocalStorage.snapshot();
  const take = (): Promise<number> =>
    others(() => warden.withSystem(async (tx) => (await takeGuess(tx, subjects, rules)).waitMs));
  t.equal(await take(), 0, 'the free one');
  let both: readonly Promise<number>[] = [];
  // Both have begun, and neither can count before this transaction releases the counter.
  await warden.withSystem(async (tx) => {
    await tx.query('select 1 from login_penalty where subject = any ($1) for update', [subjects]);
    both = [take(), take()];
    for (let waiting = 0; waiting < 2; ) {
      const [row] = await sql.query<{ n: number }>(
        "select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%take_guess%'",
      );
      waiting = row?.n ?? 0;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  const [first = -1, second = -1] = (await Promise.all(both)).sort((a, b) => a - b);
  t.equal(first, 0, 'the last that is taken: a long pause follows');
  t.ok(second > 300_000, `the other is told of the pause: ${second} ms`);
  t.equal(await failures(sql, 'account/x/password'), 2, 'and is not counted as one that was examined');
});

test('a right guess: a known source starts afresh, a new one takes back only its own guess', async (t) => {
  const { sql, warden } = await setUp(t);
  const generous = { ...rules, free: 100 };
  const subjects = ['account/x/code', 'source/n/192.0.2.1', 'known/x/n/192.0.2.1/code'];
  for (let i = 0; i < 5; i += 1) await warden.withSystem((tx) => takeGuess(tx, subjects, generous));
  await warden.withSystem((tx) => settleGuess(tx, subjects));
  t.equal(await failures(sql, 'account/x/code'), 4, 'the failures of strangers before it stay');
  t.equal(await failures(sql, 'source/n/192.0.2.1'), 4);
  t.equal(await failures(sql, 'known/x/n/192.0.2.1/code'), 0);
});

test('a guess that nobody examined is given back: no count, no pause, and no pause that another guess made', async (t) => {
  const { sql, warden } = await setUp(t);
  const limits = { ...defaultLimits, freeGuesses: 2, guessPauseFirstMs: 600_000 };
  const penalties = new Penalties({ limits, credentials: defaultCredentialAges, penaltyExempt: [] }, warden);
  const newcomer = (i: number) =>
    penalties.take({
      account: null,
      username: `person-${i}`,
      source: '192.0.2.7',
      node: idOf<NodeName>('partner-1'),
      what: 'password',
    });
  for (let i = 0; i < 10; i += 1) {
    const guess = await newcomer(i);
    t.equal(guess.isTaken, true, `the office's number ${i}`);
    t.match(await penalties.giveBack(guess), { isTaken: false, isGivenBack: true });
  }
  t.equal(await failures(sql, 'source/partner-1/192.0.2.7'), 0);
  const slow = await newcomer(20);
  for (let i = 21; i < 23; i += 1) t.equal((await newcomer(i)).isTaken, true, 'examined, and wrong');
  await penalties.giveBack(slow);
  t.equal(await failures(sql, 'source/partner-1/192.0.2.7'), 2, 'the others count');
  t.equal((await newcomer(23)).isTaken, false, 'and so does their pause');
});

test('what one edge says about a source pauses nobody on another edge', async (t) => {
  const { warden, account } = await setUp(t);
  const limits = { ...defaultLimits, freeGuesses: 1, guessPauseFirstMs: 600_000 };
  const penalties = new Penalties({ limits, credentials: defaultCredentialAges, penaltyExempt: [] }, warden);
  const at = (node: string, source: string, who: AccountId | null = account) =>
    penalties.take({ account: who, username: 'acme', source, node: idOf<NodeName>(node), what: 'password' });
  await warden.withSystem((tx) => rememberSource(tx, account, '192.0.2.7'));
  t.match(
    [await at('taken', '192.0.2.7'), await at('taken', '192.0.2.7')],
    [{ isTaken: true, isKnown: true }, { isTaken: true }],
  );
  t.match(
    await at('taken', '192.0.2.7'),
    { isTaken: false, isKnown: true },
    'on the edge that claims it, the source is paused',
  );
  t.match(await at('other', '192.0.2.7'), { isTaken: true, isKnown: true }, 'the bank, by the other edge, does not');
  const stranger = (node: string, source: string) =>
    penalties.take({ account: null, username: randomUUID(), source, node: idOf<NodeName>(node), what: 'password' });
  await stranger('taken', '198.51.100.1');
  await stranger('taken', '198.51.100.1');
  t.match(await stranger('taken', '198.51.100.1'), { isTaken: false });
  t.match(await stranger('other', '198.51.100.1'), { isTaken: true }, 'nor do strangers from there');
  // The twin: guesses against an account from sources from which it never logged in are one counter, whichever edge
  // they come by.
  await at('taken', '203.0.113.1');
  await at('other', '203.0.113.2');
  t.match(await at('third', '203.0.113.3'), { isTaken: false }, 'edges do not multiply the guesses against an account');
});

test('a source is known for a number of days from its last login on, for the account that logged in from it', async (t) => {
  const { sql, warden, account } = await setUp(t);
  const limits = { ...defaultLimits, freeGuesses: 1000 };
  const penalties = new Penalties({ limits, credentials: defaultCredentialAges, penaltyExempt: [] }, warden);
  const at = (who: AccountId | null, source: string) =>
    penalties.take({ account: who, username: 'acme', source, node: idOf<NodeName>('n'), what: 'password' });
  const hours = async (ago: number): Promise<void> => {
    await sql.query("update known_source set last_at = clock_timestamp() - $1 * interval '1 hour'", [ago]);
  };
  await warden.withSystem((tx) => rememberSource(tx, account, '192.0.2.7'));
  t.match(await at(account, '192.0.2.7'), { isKnown: true });
  t.match(await at(account, '192.0.2.8'), { isKnown: false }, 'its neighbour');
  t.match(await at(idOf<AccountId>(randomUUID()), '192.0.2.7'), { isKnown: false }, 'another account');
  t.match(await at(null, '192.0.2.7'), { isKnown: false }, 'nobody');
  await hours(knownDays * 24 - 1);
  t.match(await at(account, '192.0.2.7'), { isKnown: true }, 'an hour before its end');
  await hours(knownDays * 24 + 1);
  t.match(
    await at(account, '192.0.2.7'),
    { isKnown: false },
    'an hour after it: a stranger there guesses as a stranger',
  );
  await warden.withSystem((tx) => rememberSource(tx, account, '192.0.2.7'));
  t.match(await at(account, '192.0.2.7'), { isKnown: true }, 'until its holder is there again');
});

test('a wrong ticket is counted under its seal, and after five wrong attempts the ticket is invalid', async (t) => {
  const { sql, warden, config } = await startSealBench(t);
  const account = await makeAccount(sql);
  const ticket = randomBytes(16).toString('hex');
  const id = randomUUID();
  await withWardensKeys(config, sql.wardenUrl, async (tx) => {
    await tx.query(
      "insert into mfa_ticket (id, account_id, ticket_hash, issued_by, expires_at) values ($1, $2, $3, 'x', clock_timestamp() + interval '1 hour')",
      [id, account, createHash('sha256').update(ticket).digest()],
    );
  });
  const show = (answer: string) =>
    warden.database.withSystem(async (tx) => {
      const { account: facts } = await findAccount(tx, 'acme');
      if (facts === undefined) throw new Error('no account');
      return verifyTicket(tx, warden, facts, answer);
    });
  const trials = async (): Promise<number | undefined> =>
    (await sql.query<{ n: number }>('select failed_trials as n from mfa_ticket'))[0]?.n;
  const isGood = async (): Promise<boolean> =>
    (await warden.database.withSystem((tx) => firstBroken(tx, warden.keys, [{ kind: 'ticket', id }]))) === undefined;
  for (let wrong = 1; wrong <= 2; wrong += 1) {
    t.equal(await show('wrong'), null);
    t.equal(await trials(), wrong);
  }
  t.same(await Promise.all([show('wrong'), show('wrong')]), [null, null]);
  t.equal(await trials(), 4, 'two at the same moment are two');
  t.match(await show(` ${ticket} `), { proof: 'ticket', account }, 'the right one still is');
  t.equal(await isGood(), true);
  t.equal(await show('wrong'), null);
  t.equal(await show(ticket), null, 'after five wrong ones even the right one is not');
  await sql.query('update mfa_ticket set failed_trials = 0');
  t.equal(await isGood(), false, 'and nobody makes them fewer');
  await t.rejects(show('wrong'), { code: 'denied', message: /ticket .* was altered before/ });
});

test('networks that the operator exempted count against nobody else who comes from there, of both families', async (t) => {
  const { warden } = await setUp(t);
  const penaltyExempt = ['192.0.2.0/24', '2001:db8:1::/48', '2001:db8:2:3::/64'];
  const penalties = new Penalties({ limits: defaultLimits, credentials: defaultCredentialAges, penaltyExempt }, warden);
  /** Returns what the guess counts against, without the name of the account. */
  const countsAgainst = async (source: string): Promise<readonly string[]> => {
    const node = idOf<NodeName>('partner-1');
    const { subjects } = await penalties.take({ account: null, username: 'acme', source, node, what: 'password' });
    return subjects.filter((one) => !one.startsWith('account/'));
  };
  for (const exempt of ['192.0.2.7', '2001:db8:1::7', '2001:db8:1:ffff::1', '2001:db8:2:3::9'])
    t.same(await countsAgainst(exempt), [], exempt);
  t.same(await countsAgainst('192.0.3.7'), ['source/partner-1/192.0.3.7'], 'the twins');
  t.same(await countsAgainst('2001:db8:2::7'), ['source/partner-1/2001:db8:2::/64']);
});
