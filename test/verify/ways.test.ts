// Entries that are in the database, verify, and are not found by the questions that operators ask after an incident: a
// full run says so.
import { test } from 'tap';
import { waysAstray } from '../../server/verify/ways.ts';
import { customers, due, standingWorld } from '../support/standing-world.ts';

const [acme] = customers;

/** One entry for each way by which entries are found. */
const everyWay = `insert into ledger_fresh (kind, observer, customer_id, account_id, session_id, credential, also_credential, source, client, operator, public) select
    k, 'warden', $1, gen_random_uuid(), case when k ~ '^session' then gen_random_uuid() end, 'SHA256:a', 'SHA256:b', '192.0.2.7', 'SSH-2.0-x', 'alice', jsonb_build_object('sha256', 'cc')
  from unnest(array['session.opened', 'session.ended', 'login.refused', 'rows.resealed', 'ledger.archived', 'customer.created', 'credential.added', 'upload.closed']) k`;

test('a full run notices what is in the database and is not found', async (t) => {
  const { sql, auditor, write, seal, run, tamper } = await standingWorld(t);
  await sql.query("select set_config('cofferdam.customers', '*', false)");
  await write(acme, 10);
  await sql.query(everyWay, [acme]);
  await seal();
  t.match(await run(due), { verdict: 'good', run: 'full' }, 'twin: everything is found');
  t.same(await waysAstray(auditor), [], 'twin: by every way');
  const indexes = await sql.query<{ name: string }>(
    `select i.indexrelid::regclass::text as name from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
     where i.indrelid = (select tableoid from ledger_sealed limit 1) and m.amname <> 'brin' and not i.indkey::text = any (
       select k.attnum::text || coalesce(' ' || p.attnum, '') from pg_attribute k left join pg_attribute p on p.attrelid = k.attrelid and p.attname = 'position' and k.attname = 'tree'
       where k.attrelid = i.indrelid and k.attname in ('number', 'tree') and i.indpred is null)`,
  );
  t.equal(indexes.length, 13, 'the sealer itself goes by numbers, and the verifier by positions');
  // As he would do it: the indexes are not kept while entries are sealed, and put back as they were.
  const keep = (isKept: boolean): Promise<void> =>
    tamper(
      ...indexes.map(({ name }) => `update pg_index set indisready = ${isKept} where indexrelid = '${name}'::regclass`),
    );
  await keep(false);
  await sql.query(everyWay, [acme]);
  await seal();
  await keep(true);
  const astray = await waysAstray(auditor);
  // The sealer sets a statement about an archive aside that is none of the pipeline: nothing is hidden by that index.
  t.equal(astray.length, indexes.length - 1, astray.join('\n'));
  for (const one of astray) t.match(one, /^[1-7] entries are in the database and are not found by /);
  t.match(await run(due), { verdict: 'bad', findings: astray.length, text: /not found by their session/ });
  await sql.query('reindex table ledger_sealed');
  t.same(await waysAstray(auditor), [], 'twin: when they were made anew');
  t.match(await run(due), { verdict: 'good' });
});

test('a stored column that is not what is sealed, and an entry in the table of another month', async (t) => {
  const { sql, write, seal, run, tamper } = await standingWorld(t);
  await sql.query("select set_config('cofferdam.customers', '*', false)");
  await write(acme, 10);
  await sql.query(everyWay, [acme]);
  await seal();
  const [month] = await sql.query<{ name: string }>(
    'select tableoid::regclass::text as name from ledger_sealed limit 1',
  );
  const other = (await sql.query<{ name: string }>("select ledger_month(now() + interval '2 months') as name"))[0]
    ?.name;
  const column = "(select attnum from pg_attribute where attrelid = a.attrelid and attname = 'sha256')";
  await tamper(
    `update pg_attribute a set attgenerated = '' where attrelid = '${month?.name}'::regclass and attnum = ${column}`,
    `update ${month?.name} set sha256 = null where kind = 'upload.closed'`,
    `update pg_attribute a set attgenerated = 's' where attrelid = '${month?.name}'::regclass and attnum = ${column}`,
  );
  t.match(await run(due), { verdict: 'bad', text: /1 entries have another hash of a file beside them/ });
  await tamper(`update ${month?.name} set public = public where kind = 'upload.closed'`);
  t.match(await run(due), { verdict: 'good' }, 'twin: computed anew');
  await tamper(
    `update pg_class set relispartition = false where oid = '${other}'::regclass`,
    `create temp table moved as select number from ${month?.name} where kind = 'login.refused'`,
  );
  const columns = (
    await sql.query<{ all: string }>(
      "select string_agg(quote_ident(attname), ', ' order by attnum) as all from pg_attribute where attrelid = 'ledger_sealed'::regclass and attnum > 0 and attgenerated = ''",
    )
  )[0]?.all;
  await tamper(
    `insert into ${other} (${columns}) select ${columns} from ${month?.name} where number in (select number from moved)`,
    `delete from ${month?.name} where number in (select number from moved)`,
    `update pg_class set relispartition = true where oid = '${other}'::regclass`,
  );
  t.match(await run(due), { verdict: 'bad', text: /1 entries are in the database and are not found by their time/ });
});
