// Owns: what operators read about the world of two banks, after things were done to it: the readers of the admin
// process with its own role of the database, and their answers in words that are the same in every run.

import { adminHandlers } from '../../server/admin/handlers.ts';
import type { Config } from '../../server/config/config.ts';
import { defaultCredentialAges } from '../../server/config/credential-ages.ts';
import { Database } from '../../server/postgres/database.ts';
import type { Params } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import type { Teardown } from './database.ts';
import { inWords } from './effects.ts';
import { resolved } from './resolved.ts';
import { addAccount, addCredential, addCustomer, addSession } from './rows.ts';
import { makeTwoBanks, type TwoBanks } from './two-banks.ts';
import { startUseCaseBench, type UseCaseBench } from './use-case-bench.ts';

type Question = {
  readonly [K in keyof OperatorToAdmin]: readonly [K, Params<OperatorToAdmin, K>];
}[keyof OperatorToAdmin];
/** A question, and what is answered. */
export type Answered<A> = readonly [Question, A];

const reason = 'a test';

/** Whatever a reader has to tell from what is still in force: locked, revoked, closed, lifted, ended, over. */
async function doThings({ agreed, sql }: UseCaseBench, { called, names }: TwoBanks): Promise<void> {
  await agreed('account.lock', { name: 'acme-clerk', reason });
  await agreed('account.expire', { name: 'acme-2-batch', inDays: 30, reason });
  await agreed('credential.revoke', { selection: { fingerprint: called('acme-batch#1') }, reason });
  await agreed('key.suspend', { fingerprint: called('acme-2-batch#2'), reason });
  await agreed('window.close', { account: 'acme-batch', name: 'noon' });
  await agreed('hold.lift', { hold: called('acme hold'), reason });
  await agreed('rotation.start', { selection: { customer: 'acme-2' }, overlapDays: 10, reason });
  await agreed('break-glass.end', { breakGlass: called('emergency prepared'), reason });
  const states = {
    later: 'hours = 3',
    used: "opened_at = clock_timestamp() - interval '2 days', closes_at = clock_timestamp() - interval '1 day'",
    expired: "created_at = clock_timestamp() - interval '9 days', valid_until = clock_timestamp() - interval '1 day'",
    reviewed:
      "opened_at = clock_timestamp() - interval '2 days', closes_at = clock_timestamp() - interval '1 day', reviewed_at = clock_timestamp(), finding = 'good'",
  };
  for (const [name, text] of Object.entries(states)) {
    const { answer } = await agreed('break-glass.prepare', {
      operator: 'dora',
      operations: ['key.add'],
      hours: 3,
      validDays: 5,
      reason,
    });
    names.set(answer.breakGlass, `emergency ${name}`);
    await sql.query(`update break_glass set ${text} where id = $1`, [answer.breakGlass]);
  }
  await sql.query(
    "update session set state = 'ended', ended_at = clock_timestamp(), end_kind = 'idle', end_reason = 'idle' where id = $1",
    [called('acme-2-clerk@clerk')],
  );
  // One that can be used, one that is revoked and one that is suspended end soon; and one was not used for long.
  await sql.query("update credential set expires_at = clock_timestamp() + interval '20 days' where id = any ($1)", [
    ['key acme-clerk#1', 'key acme-batch#1', 'key acme-2-batch#2'].map(called),
  ]);
  await sql.query(
    "update credential set valid_from = clock_timestamp() - interval '100 days', last_used_at = clock_timestamp() - interval '70 days' where id = $1",
    [called('key processor#1')],
  );
}

/** What stands beside what is asked for: a closed window, and entries that name a key but are none of its history. */
async function addNeighbours({ sql }: UseCaseBench, called: (name: string) => string): Promise<void> {
  await sql.query(
    `insert into activation_window (id, account_id, opens_at, closes_at, closed_at, opened_by, reason)
     values (gen_random_uuid(), $1, clock_timestamp(), clock_timestamp() + interval '5 hours', clock_timestamp(), 'alice', 'closed')`,
    [called('acme-batch')],
  );
  for (const [kind, account] of [
    ['session.opened', 'acme-batch'],
    ['credential.added', 'acme-clerk'],
  ] as const)
    await sql.query(
      "insert into ledger_fresh (kind, observer, customer_id, account_id, credential, public, sensitive) values ($1, 'warden', $2, $3, $4, '{}', '{}')",
      [kind, called('acme'), called(account), called('acme-batch#1')],
    );
}

/** A change that waits for a second operator, and one that waited too long. */
async function addChanges({ sql }: UseCaseBench): Promise<void> {
  await sql.query(
    `insert into change (id, document, hash, operation, proposer_id, proposer_key, proposer_signature, proposed_at, expires_at, reason)
     select gen_random_uuid(), document, sha256(h::text::bytea), operation, proposer_id, proposer_key, proposer_signature,
       clock_timestamp() - interval '2 hours', clock_timestamp() + h * interval '1 hour', 'waits ' || h
     from (select * from change order by proposed_at limit 1) c, unnest(array[1, -1]) h`,
  );
}

/** A self-test with everything that a customer has. Operators read nothing of it. */
async function addSelfTest({ sql }: UseCaseBench): Promise<void> {
  const customer = await addCustomer(sql, { name: 'self-test.n.partner' });
  await sql.query('update customer set is_self_test = true where id = $1', [customer]);
  const account = await addAccount(sql, { customer, name: 'self-test.n.partner', isSelfTest: true });
  const credential = await addCredential(sql, { account, expiresAt: "now() + interval '1 day'" });
  await addSession(sql, { account, credential });
}

export async function startReaders(t: Teardown): Promise<(question: Question) => Promise<unknown>> {
  const bench = await startUseCaseBench(t);
  const banks = await makeTwoBanks(bench);
  const { names, called } = banks;
  await doThings(bench, banks);
  await addSelfTest(bench);
  await addNeighbours(bench, called);
  await addChanges(bench);
  const database = new Database({ url: bench.sql.adminUrl, applicationName: 'readers', connectionsMax: 2 });
  t.teardown(() => database.close());
  const config = { credentials: defaultCredentialAges } as unknown as Config;
  const read: Database['withSystem'] = (work) => database.withSystem(work);
  const handlers = adminHandlers(
    { config, database, read, commands: undefined as never },
    undefined as never,
    undefined as never,
  );
  return async ([operation, params]) => {
    const handler = handlers[operation] as (given: unknown) => Promise<unknown>;
    return inWords(tabled(await handler(resolved(params, called))), names);
  };
}

/** Every list of rows as lines: the names of the columns, and then the values of each row. */
function tabled(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null) return answer;
  return Object.fromEntries(
    Object.entries(answer).map(([name, value]) => {
      if (!Array.isArray(value) || typeof value[0] !== 'object') return [name, value];
      const columns = Object.keys(value[0] as object);
      const line = (row: Record<string, unknown>): string =>
        columns.map((one) => (typeof row[one] === 'string' ? row[one] : JSON.stringify(row[one]))).join(' | ');
      return [name, [columns.join(' | '), ...value.map(line)]];
    }),
  );
}
