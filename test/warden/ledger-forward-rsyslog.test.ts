// The record at a real rsyslogd: over TCP (octet counting) and a unix socket, in both formats, byte by byte as it was
// sent; and across its restart.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import { defaultLimits } from '../../server/config/config.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { Forwards } from '../../server/warden/ledger/forward/forwards.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { newCustomer, TestSealer, writeEntries } from '../support/record.ts';
import { parseCef, parseSyslog } from '../support/syslog.ts';
import { until } from '../support/until.ts';
import { freePorts } from '../support/world.ts';

const program = '/usr/sbin/rsyslogd';

test('a real rsyslogd gets every entry byte by byte, also across its restart', async (t) => {
  if (!existsSync(program)) throw new Error('this test speaks to rsyslogd: apt-get install rsyslog');
  const directory = temporaryDirectory(t);
  const [tcp = 0] = await freePorts(1);
  const path = join(directory, 'in.sock');
  const settings = join(directory, 'rsyslog.conf');
  // Each input has its own file, with the message as it arrived.
  writeFileSync(
    settings,
    `global(workDirectory="${directory}" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off")
module(load="imptcp")
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="tcp") { action(type="omfile" file="${directory}/tcp" template="raw") }
ruleset(name="unix") { action(type="omfile" file="${directory}/unix" template="raw") }
input(type="imptcp" address="127.0.0.1" port="${tcp}" ruleset="tcp")
input(type="imptcp" path="${path}" unlink="on" ruleset="unix")
`,
  );
  let daemon: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    daemon = spawn(program, ['-n', '-f', settings, '-i', join(directory, 'pid')], { stdio: 'inherit' });
    await until('rsyslogd listens', () => existsSync(path));
  };
  const stop = async (): Promise<void> => {
    const gone = daemon === undefined ? undefined : once(daemon, 'exit');
    daemon?.kill('SIGTERM');
    await gone;
    daemon = undefined;
  };
  await start();
  t.teardown(stop);

  const sql = await createTestDatabase(t);
  await sql.query("select set_config('cofferdam.customers', '*', false)");
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const sealer = new TestSealer(database);
  const acme = await newCustomer(sql, 'acme');
  let newest = 0;
  const write = async (count: number): Promise<void> => {
    await writeEntries(sql, acme, count);
    await sql.query(
      "insert into ledger_fresh (kind, observer, customer_id, client, public) values ('file.renamed', 'warden', $1, $2, jsonb_build_object('path', $3::text))",
      [acme, 'one "]\\ two\nthree', '/deposit/Überweisung = €|1.xml'],
    );
    await sealer.seal();
    newest = Number((await sql.query<{ number: string }>('select number from ledger_state'))[0]?.number);
  };
  await write(1);
  const forwards = new Forwards({
    config: {
      limits: defaultLimits,
      ledger: {
        forwards: [
          { name: 'tcp', format: 'rfc5424', destination: { transport: 'tcp', host: '127.0.0.1', port: tcp } },
          { name: 'unix', format: 'cef', destination: { transport: 'unix', path } },
        ],
      },
    } as unknown as Pick<Config, 'limits' | 'ledger'>,
    url: sql.wardenUrl,
    log: createLogger({ log: { level: 'error', pretty: false } }, 'test'),
    newest: () => newest,
    times: { pollMs: 20, doubtMs: 100, confirmMs: 300, retryFirstMs: 50, settleMs: 50 },
  });
  t.teardown(() => forwards.stop());
  const places = async (): Promise<readonly number[]> =>
    (await sql.query<{ number: string }>('select number from ledger_forward')).map((row) => Number(row.number));
  await until('all begin', async () => (await places()).length === 2);

  const lines = (name: string): readonly string[] =>
    existsSync(join(directory, name)) ? readFileSync(join(directory, name), 'utf8').split('\n').slice(0, -1) : [];
  const numberOf = (line: string): number => {
    const { params, message } = parseSyslog(line);
    return Number(params.number ?? parseCef(message).extension.externalId);
  };
  await write(300);
  await until('rsyslogd has confirmed everything', async () => (await places()).every((one) => one === newest));
  for (const name of ['tcp', 'unix']) {
    await until(`${name} is written`, () => lines(name).length >= 301);
    t.same(
      lines(name).map(numberOf),
      Array.from({ length: 301 }, (_, i) => 3 + i),
      name,
    );
  }
  const odd = parseSyslog(lines('tcp').at(-1) ?? '').params;
  t.equal(odd.client, 'one "]\\ two␊three');
  t.equal(odd['public.path'], '/deposit/Überweisung = €|1.xml');
  const { extension } = parseCef(parseSyslog(lines('unix').at(-1) ?? '').message);
  t.equal(extension.fname, '/deposit/Überweisung = €|1.xml');
  t.equal(extension.requestClientApplication, 'one "]\\ two\nthree');

  await stop();
  await write(300);
  await start();
  await until('everything is confirmed after the restart', async () => (await places())[0] === newest);
  await until('and written', () => new Set(lines('tcp').map(numberOf)).size === newest - 2);
  await until('the unix socket as well', () => new Set(lines('unix').map(numberOf)).size === newest - 2);
  t.pass('nothing is missing');
});
