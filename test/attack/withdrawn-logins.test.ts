// T-13: something is withdrawn while a login is under way. The login waits after its last proof, somebody withdraws
// something, then the login continues: no session opens.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { advisoryLocks } from '../../server/postgres/advisory-locks.ts';
import { sshLogin } from '../support/ssh-login.ts';
import { until } from '../support/until.ts';
import { startWorld } from '../support/world.ts';

/** The lock that only one opening at a time holds: 'sess' as a number. */
const openingLock = advisoryLocks.sessionOpening;
const patienceMs = 60_000;
const reason = ['--reason', 'test'];

test('a login whose proofs counted opens nothing that was withdrawn meanwhile; a withdrawal finds what was opened beside it', async (t) => {
  const world = await startWorld(t);
  /**
   * One connection holds a lock, another one looks on: within a transaction, the activity of others does not change.
   */
  const [owner, onlooker] = [1, 2].map(() => new pg.Client({ connectionString: world.databaseUrl })) as [
    pg.Client,
    pg.Client,
  ];
  for (const client of [owner, onlooker]) {
    await client.connect();
    t.teardown(() => client.end());
  }
  await owner.query("select set_config('cofferdam.customers', '*', false)");
  const one = async <T>(text: string, values: readonly unknown[] = []): Promise<T> =>
    Object.values((await owner.query(text, [...values])).rows[0] ?? {})[0] as T;
  /** Until this question to the database is answered by something true. */
  const untilSeen = (what: string, text: string): Promise<void> =>
    until(what, async () => Boolean(Object.values((await onlooker.query(text)).rows[0] ?? {})[0]), {
      withinMs: patienceMs,
    });
  const ok = async (...args: readonly string[]): Promise<string> => {
    const done = await world.cofferctl(args);
    t.equal(done.code, 0, `cofferctl ${args.join(' ')} ${done.err}`);
    return done.out;
  };
  const login = (username: string, answer = '', keepOpen = false) =>
    sshLogin({
      port: world.account(username).plane === 'internal' ? world.demo.internal.port : world.demo.partner.port,
      username,
      privateKey: readFileSync(world.keyFile(username), 'utf8'),
      answer: () => answer,
      keepOpen,
    });
  const machine = () => login('acme-batch');
  const person = async () => login('acme', await world.code('acme'));
  const recorded = async (kind: string): Promise<number> =>
    one<number>('select count(*)::int from ledger where kind = $1', [kind]);
  const waits = `select count(*) > 0 from pg_locks where locktype = 'advisory' and objid = ${openingLock} and not granted`;

  /** Every proof was examined and counted; nothing was opened yet. */
  const whileItWaits = async (
    login: () => Promise<{ readonly isOpen: boolean }>,
    work: () => Promise<unknown>,
  ): Promise<boolean> => {
    await one('select pg_advisory_lock($1)', [openingLock]);
    try {
      const opened = login();
      await untilSeen('a login that waits', waits);
      await work();
      await one('select pg_advisory_unlock($1)', [openingLock]);
      return (await opened).isOpen;
    } finally {
      await owner.query('select pg_advisory_unlock_all()');
    }
  };

  t.ok(await whileItWaits(machine, async () => {}), 'twin: nothing was taken back');
  t.ok(await whileItWaits(person, async () => {}), 'twin: with a code');
  const key = JSON.parse((await world.cofferctl(['credential', 'list', '--account', 'acme-batch', '--json'])).out)
    .credentials[0].fingerprint as string;
  const trials: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    [
      'the account was locked',
      ['account', 'lock', 'acme-batch', ...reason],
      ['account', 'unlock', 'acme-batch', ...reason],
    ],
    [
      'its end has come',
      ['account', 'expire', 'acme-batch', '--days', '0', ...reason],
      ['account', 'expire', 'acme-batch', '--days', 'never', ...reason],
    ],
    [
      'it was bound to other networks',
      ['account', 'set', 'acme-batch', '--networks', '192.0.2.0/24', ...reason],
      ['account', 'set', 'acme-batch', '--networks', 'any', ...reason],
    ],
    [
      'its customer wants a code',
      ['customer', 'policy', 'acme', '--allow', 'key+code', ...reason],
      ['customer', 'policy', 'acme', '--allow', 'all', ...reason],
    ],
    ['the key was suspended', ['key', 'suspend', key, ...reason], ['key', 'resume', key, ...reason]],
    [
      'the window was closed',
      ['window', 'close', 'acme-batch'],
      ['window', 'open', 'acme-batch', '--hours', '8', ...reason],
    ],
  ];
  for (const [what, taken, given] of trials) {
    const before = [await recorded('session.opened'), await recorded('login.refused')];
    t.notOk(await whileItWaits(machine, () => ok(...taken)), `${what}: no session`);
    const after = [await recorded('session.opened'), await recorded('login.refused')];
    t.same(
      after.map((count, i) => count - (before[i] ?? 0)),
      [0, 1],
      'the record says: refused',
    );
    await ok(...given);
    t.ok((await machine()).isOpen, 'twin: given back');
  }

  const suspend = ['customer', 'suspend', 'acme', ...reason];
  const resume = ['customer', 'resume', 'acme', ...reason];
  const isBlocked = (words: string): string =>
    `select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' and query like '%${words}%'`;
  // A suspension delays every opening, also that of internal accounts that reach its customer beside others.
  await one('select pg_advisory_lock($1)', [openingLock]);
  const suspended = ok(...suspend);
  await untilSeen('its plan, which waits', waits);
  await one('select pg_advisory_unlock($1)', [openingLock]);
  // Behind the plan, which was before it in the queue.
  await one('select pg_advisory_lock($1)', [openingLock]);
  await untilSeen('the suspension itself, which waits', waits);
  await owner.query("begin; select 1 from customer where name = 'acme' for update");
  await one('select pg_advisory_unlock($1)', [openingLock]);
  await untilSeen('a suspension that has begun', isBlocked('update customer'));
  const late = machine();
  await untilSeen('a login of the customer that waits for it', isBlocked('for share'));
  const inside = world.sftp('processor', ['ls -1 /']);
  await untilSeen('a login of an internal account that waits for it', waits);
  await owner.query('commit');
  await suspended;
  t.notOk((await late).isOpen, 'the customer was suspended: no session');
  const seen = await inside;
  t.equal(seen.code, 0, `the internal account comes in ${seen.err}`);
  t.match(seen.out, /^\/globex$/m, 'and sees others');
  t.notMatch(seen.out, /^\/acme$/m, 'but not this customer');
  await ok(...resume);
  t.ok((await machine()).isOpen, 'twin: given back');
  t.match((await world.sftp('processor', ['ls -1 /'])).out, /^\/acme$/m, 'twin: to the internal account, too');

  // The other order: the session is about to be committed, and the withdrawal comes before that.
  const endings = [
    ...trials.map(([what, taken, given]) => ['acme-batch', what, taken, given] as const),
    ['acme-batch', 'the customer was suspended', suspend, resume] as const,
    ['processor', 'a customer of an internal account was suspended', suspend, resume] as const,
  ];
  for (const [account, what, taken, given] of endings) {
    await owner.query('begin; lock table known_source in exclusive mode');
    const opened = login(account, '', true);
    await untilSeen(
      'a session that is not committed',
      "select count(*) > 0 from pg_locks where relation = 'known_source'::regclass and not granted",
    );
    const withdrawn = ok(...taken, '--json');
    await untilSeen('a withdrawal that waits for it', `select (${isBlocked('for update')}) or (${waits})`);
    await owner.query('commit');
    const { sessionsEnded } = JSON.parse(await withdrawn) as { readonly sessionsEnded: number };
    t.equal(sessionsEnded, 1, `${what}: the session that was just opened is ended`);
    const ended = await opened;
    await ended.closed;
    ended.close();
    await ok(...given);
  }

  const reset = await whileItWaits(person, () => ok('mfa', 'reset', 'acme', ...reason));
  t.notOk(reset, 'the second factor was reset: its code opens nothing');
  // Without a second factor, a ticket opens a session to enrol one.
  const ticket = async (name: string): Promise<string> => {
    const file = join(world.directory, name);
    const done = await world.cofferctl(['mfa', 'ticket', 'acme', '--out', file]);
    t.equal(done.code, 0, `a ticket is issued ${done.err}`);
    return readFileSync(file, 'utf8').trim();
  };
  const byTicket = (text: string) => login('acme', text);
  const first = await ticket('ticket-1');
  const thief = await login('acme', first, true);
  t.ok(thief.isOpen, 'twin: the ticket that was issued last');
  t.ok(
    await whileItWaits(
      () => byTicket(first),
      async () => {},
    ),
    'twin: nothing was issued meanwhile',
  );
  const second = await ticket('ticket-2');
  await thief.closed;
  t.notOk(
    (await byTicket(first)).isOpen,
    'another ticket was issued: the session by the former one is over, and it opens none',
  );
  t.notOk(
    await whileItWaits(
      () => byTicket(second),
      () => ticket('ticket-3'),
    ),
    'nor while its login goes on',
  );
  const revoked = await whileItWaits(machine, () => ok('credential', 'revoke', '--credential', key, ...reason));
  t.notOk(revoked, 'the key was revoked');
});
