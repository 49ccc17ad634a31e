// What a session may do is under a MAC: the columns beside it may become narrower, never wider.
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import { defaultShares } from '../../server/config/shares.ts';
import { type CustomerId, idOf, type NodeName, type SessionId } from '../../server/domain/ids.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { pageOfSeals, readRows } from '../../server/warden/seals/seal-queries.ts';
import { sealRows } from '../../server/warden/seals/seals.ts';
import { sweepSeals } from '../../server/warden/sessions/seal-sweeps.ts';
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
  /** Another process: it knows only what the database says. */
  const registry = (database = given.warden): SessionRegistry =>
    new SessionRegistry(config, database, keys, { terminate: () => {} }, createLogger(config, 'warden'));
  const open = async (until: number | null = null): Promise<{ readonly token: string; readonly id: string }> => {
    const opened = await given.warden.withSystem((tx) => registry().open(tx, openingOf(reader, bank.id, until)));
    if (opened === undefined || 'full' in opened) throw new Error('it did not open');
    return opened;
  };
  const warden = { database: given.warden, keys, log: createLogger(config, 'warden') };
  /**
   * Every row as if the warden had written it: the rows of the test's bank are made by hand. Here they are a node's
   * own, which needs no operators.
   */
  const sealAll = (): Promise<void> =>
    given.warden.withSystem(async (tx) => {
      for (const table of ['customer', 'account']) await tx.query(`update ${table} set is_self_test = true`);
      const rows = await readRows(tx, await pageOfSeals(tx, null, 500));
      await sealRows(
        tx,
        keys,
        rows.map((row) => ({ ...row, maker: 'self-test', generation: 1 })),
      );
    });
  return { bank, reader, registry, open, warden, sealAll, sql: given.sql };
}

const openingOf = (reader: Reader, customer: CustomerId, until: number | null): Opening => ({
  account: reader.account,
  customer,
  credential: reader.credential,
  alsoCredential: null,
  purpose: 'transfer',
  scope: {
    account: {
      id: reader.account,
      name: 'reader',
      kind: 'machine',
      plane: 'partner',
      customer,
      readOnly: true,
      manages: false,
    },
    customers: [{ id: customer, name: 'acme', folders: [] }],
    start: [],
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

test('a session whose row says something else than its scope is over, with an alarm', async (t) => {
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
    const alerts = await sql.query('select 1 from alert where kind = $1 and subject = $2', [
      'row.broken-seal',
      `session/${id}`,
    ]);
    t.equal(alerts.length, 1, `${what}: an alarm`);
  }
  t.equal((await registry().require(donor.token, caller)).account.id, reader.account, 'the others serve');
});

test('a token of another node is unknown there: no session, and nobody who pays or is named', async (t) => {
  const { reader, registry, open } = await setUp(t);
  const { token } = await open();
  const registered = registry();
  await registered.require(token, caller);
  const elsewhere = { node: idOf<NodeName>('elsewhere'), plane: 'partner' } as const;
  t.equal(await outcome(registered.require(token, elsewhere)), 'session-ended');
  t.equal(registered.payerOf(token, elsewhere), undefined);
  t.equal(registered.payerOf(token, { ...caller, plane: 'internal' }), undefined);
  t.equal(registered.payerOf(token, caller)?.account, reader.account, 'the twin: on its own node');
});

test('the regular pass meets a session whose row was altered, though nothing asks for it', async (t) => {
  const { bank, warden, registry, open, sealAll, sql } = await setUp(t);
  const other = await bank.addReader();
  await sealAll();
  // Those with which the bank was made have no scope.
  await sql.query("update session set state = 'ended', ended_at = clock_timestamp()");
  const [altered, twin] = [await open(), await open()];
  const pass = async (): Promise<readonly string[]> => {
    await sweepSeals(warden, registry());
    return (await sql.query<{ subject: string }>("select subject from alert where subject like 'session/%'")).map(
      (one) => one.subject,
    );
  };
  t.same(await pass(), [], 'as they were opened');
  await sql.query('update session set account_id = $2 where id = $1', [altered.id, other.account]);
  t.same(await pass(), [`session/${altered.id}`], 'whom its grants are charged to');
  const states = await sql.query<{ id: string; state: string; end_kind: string | null }>(
    'select id, state, end_kind from session',
  );
  t.match(
    states.find((one) => one.id === altered.id),
    { state: 'ended', end_kind: 'doubt' },
  );
  t.match(
    states.find((one) => one.id === twin.id),
    { state: 'open' },
    'the twin goes on',
  );
});

test('nobody extends the end of a session; an earlier one counts at once', async (t) => {
  const { registry, open, sql } = await setUp(t);
  const short = await open(Date.now() + 1500);
  await sql.query(
    "update session set expires_at = expires_at + interval '1 year', idle_ms = 2000000000 where id = $1",
    [short.id],
  );
  t.equal(await outcome(registry().require(short.token, caller)), 'serves', 'until its end');
  const registered = registry();
  await new Promise((resolve) => setTimeout(resolve, 1600));
  t.equal(
    await outcome(registered.require(short.token, caller)),
    'session-ended',
    'and not a moment longer, whatever the row says',
  );

  const long = await open();
  await sql.query('update session set expires_at = now() where id = $1', [long.id]);
  t.equal(await outcome(registry().require(long.token, caller)), 'session-ended', 'an earlier end is believed');
  const withdrawn = await open();
  await sql.query("update credential set state = 'revoked'");
  t.equal(await outcome(registry().require(withdrawn.token, caller)), 'session-ended', 'so is a withdrawal');
});

test('a session that ends while it is loaded serves that call only, and so does one beside which another one ends', async (t) => {
  const { registry, open, warden, sql } = await setUp(t);
  let meanwhile = async (): Promise<void> => {};
  /** Something happens between the reading of a session's row and the use of what was read. */
  const database = Object.create(warden.database, {
    withSystem: {
      value: async <T>(...args: Parameters<typeof warden.database.withSystem<T>>): Promise<T> => {
        const read = await warden.database.withSystem(...args);
        const happens = meanwhile;
        meanwhile = async () => {};
        await happens();
        return read;
      },
    },
  }) as typeof warden.database;
  const [one, another] = [await open(), await open()];
  const registered = registry(database);
  const ends = (id: string) => async (): Promise<void> => {
    await sql.query("update session set state = 'ended', ended_at = now() where id = $1", [id]);
    registered.forget([idOf<SessionId>(id)]);
  };
  meanwhile = ends(one.id);
  t.equal(await outcome(registered.require(one.token, caller)), 'serves', 'it was open when it was read');
  t.equal(await outcome(registered.require(one.token, caller)), 'session-ended', 'and is not kept as such');

  meanwhile = ends(one.id);
  t.equal(await outcome(registered.require(another.token, caller)), 'serves');
  await sql.query("update session set state = 'ended', ended_at = now() where id = $1", [another.id]);
  t.equal(await outcome(registered.require(another.token, caller)), 'session-ended', 'whose end it was is not asked');
  const third = await open();
  await registered.require(third.token, caller);
  await sql.query("update session set state = 'ended', ended_at = now() where id = $1", [third.id]);
  t.equal(
    await outcome(registered.require(third.token, caller)),
    'serves',
    'the twin: one that was loaded undisturbed is kept',
  );
});

test('a customer that is suspended leaves the scope of a session that reaches others', async (t) => {
  const { bank, registry, open, sql } = await setUp(t);
  const { token } = await open();
  const reached = async (): Promise<readonly string[]> =>
    (await registry().require(token, caller)).customers.map((one) => one.id);
  await sql.query("update account set customer_id = null, plane = 'internal'");
  t.same(await reached(), [bank.id]);
  await sql.query("update customer set state = 'suspended'");
  t.same(await reached(), []);
});
