// Forwarding to real receivers: everything in order, nothing lost when they go away in the middle, nothing delayed when
// they do not read.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Test, test } from 'tap';
import { createAuthority } from '../../certs/authority.ts';
import type { Config } from '../../server/config/config.ts';
import { defaultLimits } from '../../server/config/config.ts';
import type { ForwardConfig, SyslogDestination } from '../../server/config/ledger-settings.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { expose } from '../../server/observability/metrics.ts';
import { Database } from '../../server/postgres/database.ts';
import type { ForwardTimes } from '../../server/warden/ledger/forward/forward.ts';
import { Forwards } from '../../server/warden/ledger/forward/forwards.ts';
import { createTestDatabase, type TestDatabase, temporaryDirectory } from '../support/database.ts';
import { issueServerCertificate } from '../support/issued.ts';
import { newCustomer, TestSealer, writeEntries } from '../support/record.ts';
import { parseCef, parseSyslog } from '../support/syslog.ts';
import { Receiver } from '../support/syslog-receiver.ts';
import { until } from '../support/until.ts';
import { freePorts } from '../support/world.ts';

/** A record, and what forwards it. */
class Bench {
  readonly sql: TestDatabase;
  readonly customer: string;
  readonly #t: Test;
  readonly #sealer: TestSealer;
  newest: number | undefined;

  private constructor(t: Test, sql: TestDatabase, customer: string, sealer: TestSealer) {
    this.#t = t;
    this.sql = sql;
    this.customer = customer;
    this.#sealer = sealer;
  }

  static async open(t: Test): Promise<Bench> {
    const sql = await createTestDatabase(t);
    await sql.query("select set_config('cofferdam.customers', '*', false)");
    const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
    t.teardown(() => database.close());
    const bench = new Bench(t, sql, await newCustomer(sql, 'acme'), new TestSealer(database));
    // What existed before the first forward is not sent.
    await bench.write(3);
    return bench;
  }

  /** `unseen`: they are sealed, and the forward is not told yet. */
  async write(count: number, told: 'told' | 'unseen' = 'told'): Promise<number> {
    await writeEntries(this.sql, this.customer, count);
    await this.#sealer.seal();
    const newest = Number((await this.sql.query<{ number: string }>('select number from ledger_state'))[0]?.number);
    if (told === 'told') this.newest = newest;
    return newest;
  }

  forward(
    destination: SyslogDestination,
    given: {
      readonly format?: ForwardConfig['format'];
      readonly times?: Partial<ForwardTimes>;
      readonly forwardAlarmMs?: number;
    } = {},
  ): { readonly forwards: Forwards; stop(): Promise<void> } {
    const config = {
      limits: { ...defaultLimits, forwardAlarmMs: given.forwardAlarmMs ?? defaultLimits.forwardAlarmMs },
      ledger: { forwards: [{ name: 'siem', format: given.format ?? 'rfc5424', destination }] },
    } as unknown as Pick<Config, 'limits' | 'ledger'>;
    const forwards = new Forwards({
      config,
      url: this.sql.wardenUrl,
      log: createLogger({ log: { level: 'error', pretty: false } }, 'test'),
      newest: () => this.newest,
      times: {
        pollMs: 20,
        doubtMs: 100,
        confirmMs: 300,
        finishMs: 1000,
        retryFirstMs: 50,
        retryLongestMs: 200,
        settleMs: 50,
        ...given.times,
      },
    });
    let stopping: Promise<void> | undefined;
    const stop = (): Promise<void> => (stopping ??= forwards.stop());
    this.#t.teardown(stop);
    return { forwards, stop };
  }

  async place(): Promise<{
    readonly number: number;
    readonly sent: number;
    readonly behindMs: number;
    readonly error: string | null;
  }> {
    const [row] = await this.sql.query<{ number: string; sent: string; behind_ms: string; error: string | null }>(
      'select * from ledger_forward',
    );
    return {
      number: Number(row?.number),
      sent: Number(row?.sent),
      behindMs: Number(row?.behind_ms),
      error: row?.error ?? null,
    };
  }

  /** The forward has its row: from now on it misses nothing. */
  begun(): Promise<void> {
    return until('a forward begins', async () => (await this.sql.query('select 1 from ledger_forward')).length === 1);
  }
}

const range = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);
const distinct = (numbers: readonly number[]): readonly number[] => [...new Set(numbers)].sort((a, b) => a - b);
/** A repeat begins again at a lower number; otherwise numbers only grow. */
const breaksIn = (numbers: readonly number[]): number =>
  numbers.filter((one, i) => i > 0 && one <= (numbers[i - 1] ?? 0)).length;

test('each transport brings every entry once and in order, from the moment at which the forward exists', async (t) => {
  const directory = temporaryDirectory(t);
  const authority = await createAuthority('test', 2);
  const { certificate: cert, key } = await issueServerCertificate(authority, 'localhost', 2);
  const ca = join(directory, 'ca.pem');
  writeFileSync(ca, authority.certificate);
  const receivers: Readonly<
    Record<string, () => Promise<{ readonly receiver: Receiver; readonly to: SyslogDestination }>>
  > = {
    unix: async () => {
      const path = join(directory, 'syslog.sock');
      return { receiver: await Receiver.listen({ path }), to: { transport: 'unix', path } };
    },
    tcp: async () => {
      const receiver = await Receiver.listen({ port: 0 });
      return { receiver, to: { transport: 'tcp', host: '127.0.0.1', port: receiver.port } };
    },
    tls: async () => {
      const receiver = await Receiver.listen({ port: 0, tls: { key, cert } });
      return { receiver, to: { transport: 'tls', host: 'localhost', port: receiver.port, ca } };
    },
  };
  for (const [name, make] of Object.entries(receivers))
    await t.test(name, async (t) => {
      const bench = await Bench.open(t);
      const { receiver, to } = await make();
      t.teardown(() => receiver.close());
      const { forwards, stop } = bench.forward(to, { format: name === 'unix' ? 'cef' : 'rfc5424' });
      await bench.begun();
      const last = await bench.write(450);
      await until('everything arrives', () => receiver.messages.length >= 450);
      await until('and is confirmed', async () => (await bench.place()).number === last);
      t.equal((await bench.place()).error, null);
      if (name === 'unix') {
        const first = parseCef(parseSyslog(receiver.messages[0] ?? '').message);
        t.equal(first.extension.cs1, 'acme');
        t.same(
          receiver.messages.map((one) => Number(parseCef(parseSyslog(one).message).extension.externalId)),
          range(4, last),
        );
      } else {
        t.same(receiver.numbers, range(4, last));
        const { params, messageId } = parseSyslog(receiver.messages[0] ?? '');
        t.match(
          [params.customerName, params.credential, messageId],
          ['acme', /^SHA256:a{43}$/, 'extent.granted'],
          'sensitive fields too',
        );
      }
      await until('metrics', () => /forward_behind_entries\{forward="siem"\} 0\n/.test(expose(forwards.metrics)));
      // A new run continues where it was confirmed: nothing comes twice.
      await stop();
      bench.forward(to, { format: name === 'unix' ? 'cef' : 'rfc5424' });
      await bench.write(2);
      await until('the rest', () => receiver.messages.length >= 452);
      t.equal(receiver.messages.length, 452);
    });
  await t.test('tls: another name, another authority', async (t) => {
    const bench = await Bench.open(t);
    const receiver = await Receiver.listen({ port: 0, tls: { key, cert } });
    t.teardown(() => receiver.close());
    const { stop } = bench.forward({ transport: 'tls', host: '127.0.0.1', port: receiver.port, ca });
    await bench.begun();
    await bench.write(5);
    await until('it is refused', async () => /altnames|does not match/i.test((await bench.place()).error ?? ''));
    t.equal(receiver.messages.length, 0, 'nothing goes to somebody else');
    await stop();
    const foreign = join(directory, 'foreign.pem');
    writeFileSync(foreign, (await createAuthority('foreign', 2)).certificate);
    bench.forward({ transport: 'tls', host: 'localhost', port: receiver.port, ca: foreign });
    await until('it is refused', async () => /certificate|signature|issuer/i.test((await bench.place()).error ?? ''));
    t.equal(receiver.messages.length, 0);
  });
});

test('a receiver that goes away again and again gets everything', async (t) => {
  const bench = await Bench.open(t);
  const [port] = await freePorts(1);
  const { forwards } = bench.forward({ transport: 'tcp', host: '127.0.0.1', port: port ?? 0 });
  await bench.begun();
  const got: string[] = [];
  let last = 0;
  for (let round = 0; round < 6; round += 1) {
    const receiver = await Receiver.listen({ port: port ?? 0 });
    last = await bench.write(300);
    await until('some arrive', () => receiver.messages.length > 50);
    // What is sent now stays in the kernel, and is lost with the receiver.
    receiver.stopReading();
    last = await bench.write(300);
    await receiver.close();
    // A program needs longer than that to start again: the last error of the round before may still be there.
    const [now] = await bench.sql.query<{ now: Date }>('select clock_timestamp() as now');
    const since =
      "select 1 from ledger_forward where error is not null and looked_at > $1::timestamptz + interval '1 second'";
    await until('it is noticed', async () => (await bench.sql.query(since, [now?.now])).length === 1);
    got.push(...receiver.messages);
  }
  const receiver = await Receiver.listen({ port: port ?? 0 });
  t.teardown(() => receiver.close());
  await until('the rest is confirmed', async () => (await bench.place()).number === last);
  got.push(...receiver.messages);
  const numbers = got.map((one) => Number(parseSyslog(one).params.number));
  t.same(distinct(numbers), range(4, last), 'nothing is lost');
  t.ok(breaksIn(numbers) <= 30, `repeats come after breaks only (${breaksIn(numbers)})`);
  await until('and the metrics say so', () => /forward_broken\{forward="siem"\} 0\n/.test(expose(forwards.metrics)));
});

test('a connection that ends while the next entries are looked up loses nothing', async (t) => {
  const bench = await Bench.open(t);
  const receiver = await Receiver.listen({ port: 0 });
  t.teardown(() => receiver.close());
  bench.forward(
    { transport: 'tcp', host: '127.0.0.1', port: receiver.port },
    { times: { doubtMs: 1_000_000, confirmMs: 1_000_000 } },
  );
  await bench.begun();
  receiver.stopReading();
  const sent = await bench.write(10);
  await until('they are sent, and not read', async () => (await bench.place()).sent === sent);
  t.same(receiver.messages, []);
  const last = await bench.write(5, 'unseen');
  const holder = new pg.Client({ connectionString: bench.sql.migrateUrl });
  await holder.connect();
  t.teardown(() => holder.end());
  await holder.query('begin');
  await holder.query('lock table ledger_sealed in access exclusive mode');
  bench.newest = last;
  const waiting =
    "select 1 from pg_stat_activity where application_name = 'cofferdam forwarder' and wait_event_type = 'Lock' and query like '%public::text%'";
  await until('it waits for the next entries', async () => (await bench.sql.query(waiting)).length === 1);
  const hold = Date.now();
  receiver.drop();
  receiver.readAgain();
  await until('the end has arrived', () => Date.now() - hold > 200);
  await holder.query('commit');
  await until('the newest is received', () => receiver.numbers.includes(last));
  t.same(distinct(receiver.numbers), range(4, last), 'what was sent and not read is sent again');
});

test('what was read and not confirmed comes again, letter by letter', async (t) => {
  const bench = await Bench.open(t);
  const receiver = await Receiver.listen({ port: 0 });
  t.teardown(() => receiver.close());
  bench.forward(
    { transport: 'tcp', host: '127.0.0.1', port: receiver.port },
    { times: { doubtMs: 2000, confirmMs: 1_000_000 } },
  );
  await bench.begun();
  const first = await bench.write(10);
  await until('the first are confirmed', async () => (await bench.place()).number === first);
  const last = await bench.write(300);
  await until('all are read', () => receiver.messages.length === 310);
  t.equal((await bench.place()).number, first, 'and not confirmed');
  receiver.drop();
  await until('confirmed after the break', async () => (await bench.place()).number === last);
  t.same(receiver.numbers, [...range(4, first), ...range(first + 1, last), ...range(first + 1, last)]);
  t.same(
    receiver.messages.slice(10, 310),
    receiver.messages.slice(310),
    'the same text: number and leaf tell a repeat',
  );
});

test('a receiver that is killed (kill -9) in the middle gets everything in the end', async (t) => {
  const bench = await Bench.open(t);
  const [port] = await freePorts(1);
  const file = join(temporaryDirectory(t), 'received');
  bench.forward({ transport: 'tcp', host: '127.0.0.1', port: port ?? 0 });
  await bench.begun();
  const lines = (): readonly string[] => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []);
  let last = 0;
  for (let round = 0; round < 4; round += 1) {
    const child = spawn(process.execPath, [
      join(import.meta.dirname, '..', 'support', 'syslog-receiver.ts'),
      String(port),
      file,
    ]);
    const gone = once(child, 'exit');
    await once(child.stdout, 'data');
    const before = lines().length;
    last = await bench.write(1000);
    await until('some arrive', () => lines().length > before + 10 * (round + 1));
    if (round === 3) await until('the last is confirmed', async () => (await bench.place()).number === last);
    child.kill('SIGKILL');
    await gone;
  }
  const received = lines().map((line) => Number(parseSyslog(line).params.number));
  t.same(distinct(received), range(4, last), 'nothing is lost');
});

test('an alarm that could not be written counts as not raised', async (t) => {
  const bench = await Bench.open(t);
  const receiver = await Receiver.listen({ port: 0 });
  t.teardown(() => receiver.close());
  // A sequence keeps what an undone transaction took of it.
  await bench.sql.query('create sequence tries');
  await bench.sql.query('grant usage on sequence tries to cofferdam_warden');
  await bench.sql.query(
    "create function refuse() returns trigger language plpgsql as $$ begin perform nextval('tries'); raise 'refused'; end $$",
  );
  await bench.sql.query('create trigger refuse before insert on alert for each row execute function refuse()');
  bench.forward(
    { transport: 'tcp', host: '127.0.0.1', port: receiver.port },
    { forwardAlarmMs: 500, times: { finishMs: 500 } },
  );
  await bench.begun();
  receiver.stopReading();
  await bench.write(1000);
  const tries = async (): Promise<boolean> =>
    (await bench.sql.query<{ is_called: boolean }>('select is_called from tries'))[0]?.is_called === true;
  await until('it is tried', tries);
  await bench.sql.query('drop trigger refuse on alert');
  // An alert that counts as raised is raised again after a minute.
  await until(
    'the alarm',
    async () => (await bench.sql.query("select 1 from alert where kind = 'ledger.forward-late'")).length === 1,
  );
});

test('a receiver that does not read: lag, alarm, and nothing waits for it', async (t) => {
  const bench = await Bench.open(t);
  const receiver = await Receiver.listen({ port: 0 });
  t.teardown(() => receiver.close());
  const { forwards } = bench.forward(
    { transport: 'tcp', host: '127.0.0.1', port: receiver.port },
    { forwardAlarmMs: 500, times: { finishMs: 500 } },
  );
  await bench.begun();
  receiver.stopReading();
  let last = await bench.write(1000);
  await until(
    'the alarm',
    async () => (await bench.sql.query("select 1 from alert where kind = 'ledger.forward-late'")).length === 1,
  );
  const [alert] = await bench.sql.query<{ text: string; subject: string }>(
    "select * from alert where kind = 'ledger.forward-late'",
  );
  t.match(alert, { subject: 'siem', text: /1000 entries and \d+ s behind: .*Nothing is lost/ });
  await until('the lag is in the database', async () => (await bench.place()).behindMs >= 500);
  await until('and in the metrics', () => /behind_entries\{forward="siem"\} 1000\n/.test(expose(forwards.metrics)));
  last = await bench.write(1000);
  t.equal((await bench.place()).number, 3, 'nothing counts as received');
  receiver.readAgain();
  await until('it reads again', async () => (await bench.place()).number === last);
  t.same(distinct(receiver.numbers), range(4, last));
  await until('no lag', () => /behind_entries\{forward="siem"\} 0\n/.test(expose(forwards.metrics)));
});

test('an alarm that could not be written is written as soon as it can be', async (t) => {
  const bench = await Bench.open(t);
  // A number that a sequence gave is not taken back with the alert that was refused.
  await bench.sql.query('create sequence refusals');
  await bench.sql.query(
    "create function refuse_alert() returns trigger language plpgsql security definer as $$ begin perform nextval('refusals'); raise 'no'; end $$",
  );
  await bench.sql.query(
    'create trigger refuse_alert before insert on alert for each row execute function refuse_alert()',
  );
  const nowhere = join(temporaryDirectory(t), 'nowhere.sock');
  bench.forward({ transport: 'unix', path: nowhere }, { forwardAlarmMs: 100 });
  await bench.begun();
  await bench.write(3);
  await until('it tries', async () => (await bench.sql.query('select 1 from refusals where is_called')).length === 1);
  await bench.sql.query('drop trigger refuse_alert on alert');
  await until(
    'the alarm',
    async () => (await bench.sql.query("select 1 from alert where kind = 'ledger.forward-late'")).length === 1,
  );
  t.pass('well before the minute in which it is not said again');
});

test('nobody listens: the forward says so, waits, and begins when somebody does', async (t) => {
  const bench = await Bench.open(t);
  const [port] = await freePorts(1);
  bench.forward({ transport: 'tcp', host: '127.0.0.1', port: port ?? 0 });
  await bench.begun();
  const last = await bench.write(10);
  await until('it says why', async () => /ECONNREFUSED/.test((await bench.place()).error ?? ''));
  const receiver = await Receiver.listen({ port: port ?? 0 });
  t.teardown(() => receiver.close());
  await until('it is received', async () => (await bench.place()).number === last);
  t.equal((await bench.place()).error, null);
  t.same(receiver.numbers, range(4, last));
});

test('only the leader forwards; the next leader continues from what was confirmed', async (t) => {
  const bench = await Bench.open(t);
  const receiver = await Receiver.listen({ port: 0 });
  t.teardown(() => receiver.close());
  const to = { transport: 'tcp', host: '127.0.0.1', port: receiver.port } as const;
  bench.forward(to);
  await bench.begun();
  const last = await bench.write(10);
  await until('received', async () => (await bench.place()).number === last);
  await writeEntries(bench.sql, bench.customer, 5);
  bench.newest = undefined;
  const database = new Database({ url: bench.sql.wardenUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => database.close());
  await new TestSealer(database).seal();
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.equal(receiver.messages.length, 10, 'it does not lead any more');
  bench.newest = last + 5;
  await until('it leads again', () => receiver.messages.length >= 15);
  t.same(receiver.numbers, range(4, last + 5));
});

test('an entry that was removed from the database is not silently skipped', async (t) => {
  const bench = await Bench.open(t);
  const [port] = await freePorts(1);
  bench.forward({ transport: 'tcp', host: '127.0.0.1', port: port ?? 0 });
  await bench.begun();
  // Nothing is read for the forward before the entry is gone.
  const last = await bench.write(10, 'unseen');
  await bench.sql.query('set session_replication_role = replica');
  await bench.sql.query('delete from ledger_sealed where number = 8');
  await bench.sql.query('reset session_replication_role');
  const receiver = await Receiver.listen({ port: port ?? 0 });
  t.teardown(() => receiver.close());
  bench.newest = last;
  await until('received', async () => (await bench.place()).number === last);
  t.same(
    receiver.numbers,
    range(4, last).filter((one) => one !== 8),
  );
  const [alert] = await bench.sql.query<{ text: string; severity: string }>(
    "select * from alert where kind = 'ledger.forward-gap'",
  );
  t.match(alert, { severity: 'critical', text: /entries before number 9/ });
});

test('a position that somebody moved ahead is reported: while it is forwarded, and at the next start', async (t) => {
  const bench = await Bench.open(t);
  const receiver = await Receiver.listen({ port: 0 });
  t.teardown(() => receiver.close());
  const to: SyslogDestination = { transport: 'tcp', host: '127.0.0.1', port: receiver.port };
  const first = bench.forward(to);
  await bench.begun();
  const last = await bench.write(5);
  await until('all of it is received', async () => (await bench.place()).number === last);
  t.same(await bench.sql.query('select 1 from alert'), [], 'twin: an honest place is no alarm');

  await bench.sql.query('update ledger_forward set number = $1, sent = $1', [last + 1000]);
  const gaps = () =>
    bench.sql.query<{ text: string; count: number }>("select text, count from alert where kind = 'ledger.forward-gap'");
  await until('the alarm', async () => (await gaps()).length === 1);
  t.match(await gaps(), [
    { text: new RegExp(`is number ${last + 1000}, and the record ends at ${last}: somebody moved it ahead`) },
  ]);
  await first.stop();
  await bench.sql.query('delete from alert');
  bench.forward(to);
  await until('the alarm of the next start', async () => (await gaps()).length === 1);
  const later = await bench.write(5);
  await until('it goes on from the end of the record', () => receiver.numbers.includes(later));
  t.same(distinct(receiver.numbers), range(4, later), 'and leaves nothing out that came after it');
});
