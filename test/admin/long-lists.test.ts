// A list that was cut says so, whatever cut it: the size of an answer, or the number of its rows. Whoever asks page by
// page until there is no more, as `incident assure` does, has all of it.
import { test } from 'tap';
import { adminHandlers } from '../../server/admin/handlers.ts';
import { rowsMax } from '../../server/admin/reading/reading.ts';
import { defaultCredentialAges } from '../../server/config/credential-ages.ts';
import { Database } from '../../server/postgres/database.ts';
import { createTestDatabase } from '../support/database.ts';
import { addAccount, addCredential, addCustomer } from '../support/rows.ts';

type Page = { readonly rows: readonly { readonly name: string }[]; readonly more: boolean };

test('what does not fit into an answer is on the next page', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.adminUrl, applicationName: 'readers', connectionsMax: 1 });
  t.teardown(() => database.close());
  const given = {
    config: { credentials: defaultCredentialAges },
    database,
    read: (work: Parameters<Database['withSystem']>[0]) => database.withSystem(work),
  };
  const handlers = adminHandlers(given as never, undefined as never, undefined as never);
  const ask = async (operation: keyof typeof handlers, params: object): Promise<Page> => {
    const handler = handlers[operation] as unknown as (asked: object) => Promise<Readonly<Record<string, unknown>>>;
    const { more, ...answer } = await handler(params);
    const rows = Object.values(answer).find(Array.isArray) as Page['rows'];
    return { rows, more: more === true };
  };
  await sql.query(
    "insert into customer (id, name) select gen_random_uuid(), 'c' || lpad(i::text, 3, '0') from generate_series(2, $1) i",
    [rowsMax],
  );
  const customer = await addCustomer(sql, { name: 'c001' });
  const account = await addAccount(sql, { customer });
  const credential = await addCredential(sql, { account });
  await sql.query("insert into node (name, plane) values ('n', 'partner')");
  const addMore = async (from: number, to: number): Promise<void> => {
    await sql.query(
      `insert into session (id, token_hash, account_id, credential_id, node, start_id, expires_at, idle_ms)
       select gen_random_uuid(), sha256(('s' || i)::bytea), $1, $2, 'n', gen_random_uuid(), now() + interval '1 hour', 1000 from generate_series($3::int, $4::int) i`,
      [account, credential, from, to],
    );
    await sql.query(
      "insert into alert (kind, severity, subject, hour, text, facts, next_command) select 'x', 'notice', i::text, now(), 't', '{}', 'c' from generate_series($1::int, $2::int) i",
      [from, to],
    );
  };
  await addMore(1, 3);
  const lists = [
    ['session.list', {}],
    ['alert.list', {}],
    ['node.drain-plan', { node: 'n' }],
  ] as const;
  t.match(await ask('customer.list', {}), { rows: { length: rowsMax }, more: false }, 'as many as one answer has');
  for (const [operation, params] of lists)
    t.match(await ask(operation, params), { rows: { length: 3 }, more: false }, operation);

  await addCustomer(sql, { name: 'c999' });
  await addMore(4, rowsMax + 1);
  const first = await ask('customer.list', {});
  t.match(first, { rows: { length: rowsMax }, more: true }, 'one more');
  const rest = await ask('customer.list', { after: first.rows.at(-1)?.name });
  t.match(rest, { rows: [{ name: 'c999' }], more: false }, 'the next page');
  t.match(await ask('customer.list', { limit: 2 }), { rows: [{ name: 'c001' }, { name: 'c002' }], more: true });
  for (const [operation, params] of lists) t.equal((await ask(operation, params)).more, true, operation);
  t.match(await ask('alert.list', { limit: 2 }), { rows: { length: 2 }, more: false }, 'whoever asks for two');
});
