// What a session may do stands under a MAC: the columns beside it may become narrower, never wider.
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import { defaultShares } from '../../server/config/shares.ts';
import { type CustomerId, idOf, type NodeName } from '../../server/domain/ids.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { type Opening, SessionRegistry } from '../../server/warden/sessions/sessions.ts';
import { Bank, type Reader, startBankDatabase } from '../support/bank.ts';
import { temporaryDirectory } from '../support/database.ts';

const caller = { node: idOf<NodeName>('n'), plane: 'partner' } as const;
const lifeMs = 60_000;

async function setUp(t: Test) {
  const runtimeDirectory = join(temporaryDirectory(t), 'var');
  mkdirSync(runtimeDirectory);
  const config = {
    mode: 'development',
    runtimeDirectory,
    storeDirectory: runtimeDirectory,
    log: { level: 'silent', pretty: false },
    shares: defaultShares,
    limits: { sessionAbsoluteLifeMs: lifeMs, sessionIdleLifeMs: lifeMs },
  } as unknown as Config;
  const given = await startBankDatabase(t);
  const bank = await Bank.create(given, 'acme', 1024);
  const reader = await bank.addReader();
  const keys = createKeyRing(config);
  const registries: SessionRegistry[] = [];
  /** Another process: it knows only what the database says. */
  const registry = (): SessionRegistry => {
    const made = new SessionRegistry(config, given.warden, keys, { terminate: () => {} }, createLogger(config, 'warden'));
    registries.push(made);
    return made;
  };
  t.teardown(() => {
    for (const one of registries) one.stop();
  });
  const open = async (until: number | null = null): Promise<{ readonly token: string; readonly id: string }> => {
    const opened = await given.warden.withSystem((tx) => registry().open(tx, openingOf(reader, bank.id, until)));
    if (opened === undefined || 'full' in opened) throw new Error('it did not open');
    return opened;
  };
  return { bank, reader, registry, open, sql: given.sql };
}

const openingOf = (reader: Reader, customer: CustomerId, until: number | null): Opening => ({
  account: reader.account,
  customer,
  credential: reader.credential,
  alsoCredential: null,
  purpose: 'transfer',
  scope: {
    account: { id: reader.account, name: 'reader', kind: 'machine', plane: 'partner', customer, readOnly: true, manages: false },
    customers: [{ id: customer, name: 'acme', folders: [] }],
    ticket: null,
  },
  until,
  now: Date.now(),
  window: null,
  caller,
  startId: randomUUID(),
  source: { address: '127.0.0.1', port: 1 },
  issued: {
    client: 'SSH-2.0-test',
    sessionIdentifier: Buffer.alloc(32),
    keyExchange: 'mlkem768x25519-sha256',
    hostKeyAlgorithm: 'ssh-ed25519',
  } as unknown as Opening['issued'],
});

const outcome = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'serves',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
  );

test('a session whose row says another thing than its scope is over, and an alarm', async (t) => {
  const { bank, reader, registry, open, sql } = await setUp(t);
  const other = await bank.addReader();
  const rewritings: readonly (readonly [string, string])[] = [
    ['the account', `account_id = '${other.account}'`],
    ['the credential', `credential_id = '${other.credential}'`],
    ['a second credential', `also_credential_id = '${other.credential}'`],
    ['the purpose', "purpose = 'enrolment'"],
    ['the scope', 'scope = replace(s.scope, \'"readOnly":true\', \'"readOnly":false\')'],
    ['no MAC', 'scope_mac = null'],
    ['the scope of another session', 'scope = o.scope, scope_mac = o.scope_mac'],
  ];
  const donor = await open();
  for (const [what, set] of rewritings) {
    const { token, id } = await open();
    t.equal(await outcome(registry().require(token, caller)), 'serves', `${what}: as it was opened`);
    await sql.query(`update session s set ${set} from session o where s.id = $1 and o.id = $2`, [id, donor.id]);
    t.equal(await outcome(registry().require(token, caller)), 'session-ended', what);
    const [row] = await sql.query<{ state: string }>('select state from session where id = $1', [id]);
    t.equal(row?.state, 'ended', `${what}: ended`);
    const alerts = await sql.query('select 1 from alert where kind = $1 and subject = $2', ['row.broken-seal', `session/${id}`]);
    t.equal(alerts.length, 1, `${what}: an alarm`);
  }
  t.equal((await registry().require(donor.token, caller)).account.id, reader.account, 'the others serve');
});

test('the end of a session is extended by nobody; an earlier one counts at once', async (t) => {
  const { registry, open, sql } = await setUp(t);
  const short = await open(Date.now() + 1500);
  await sql.query("update session set expires_at = expires_at + interval '1 year', idle_ms = 2000000000 where id = $1", [short.id]);
  t.equal(await outcome(registry().require(short.token, caller)), 'serves', 'until its end');
  const registered = registry();
  await new Promise((resolve) => setTimeout(resolve, 1600));
  t.equal(await outcome(registered.require(short.token, caller)), 'session-ended', 'and not a moment longer, whatever the row says');

  const long = await open();
  await sql.query('update session set expires_at = now() where id = $1', [long.id]);
  t.equal(await outcome(registry().require(long.token, caller)), 'session-ended', 'an earlier end is believed');
  const withdrawn = await open();
  await sql.query("update credential set state = 'revoked'");
  t.equal(await outcome(registry().require(withdrawn.token, caller)), 'session-ended', 'so is a withdrawal');
});

test('a customer that is suspended leaves the scope of a session that reaches others', async (t) => {
  const { bank, registry, open, sql } = await setUp(t);
  const { token } = await open();
  const reached = async (): Promise<readonly string[]> => (await registry().require(token, caller)).customers.map((one) => one.id);
  await sql.query("update account set customer_id = null, plane = 'internal'");
  t.same(await reached(), [bank.id]);
  await sql.query("update customer set state = 'suspended'");
  t.same(await reached(), []);
});
