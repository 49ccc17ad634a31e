// Owns: the SQL that describes everything in the catalogue of a database that decides what its statements mean: one row
// for each object, in words that PostgreSQL 15 to 18 agree on.
// Must never: rely on a setting of the connection, or leave out what some role could have added.
import type { Transaction } from './database.ts';

/** `what` names one object, for instance `trigger public.session.break_seal`; `text` is its definition in one line. */
export type Described = { readonly what: string; readonly text: string };

/** Definitions are printed under these settings: names are qualified, and constants have one spelling. */
const spelling = {
  search_path: 'pg_catalog, pg_temp',
  TimeZone: 'UTC',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  quote_all_identifiers: 'off',
} as const;
const spellingNames = Object.keys(spelling);

/** Objects that the server itself brings have identifiers below this one. */
const firstForeign = 16_384;
/** Functions of the server that PostgreSQL's sources number by hand have identifiers below this one. */
const firstGiven = 10_000;
const ofOthers = (column: string): string => `${column} >= ${firstForeign}`;
/** Schemas of the server itself, of temporary objects and of long values. */
const schemaOfServer = (column: string): string =>
  `${column} ~ '^(pg_catalog|information_schema|pg_toast|pg_temp_[0-9]+|pg_toast_temp_[0-9]+)$'`;
/**
 * A relation of somebody else than the server, wherever it stands. Tables of long values follow the table that they
 * belong to, and temporary ones are of one connection: what they are decides, and not the schema in which they say that
 * they stand.
 */
const foreignRelation = `${ofOthers('c.oid')} and c.relkind <> 't' and not (c.relpersistence = 't' and n.nspname ~ '^pg_temp_[0-9]+$')
  and not exists (select from pg_catalog.pg_index x join pg_catalog.pg_class y on y.oid = x.indrelid where x.indexrelid = c.oid and y.relkind = 't')`;
const relations = 'pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace';

const parts: readonly string[] = [
  `select 'schema ' || n.nspname, '' from pg_catalog.pg_namespace n where not ${schemaOfServer('n.nspname')}`,

  // A flag that says that a table has no triggers or checks puts them out of force, whatever the other tables of the
  // catalogue hold.
  `select case c.relkind when 'r' then 'table ' when 'p' then 'table ' when 'v' then 'view ' when 'm' then 'view ' when 'S' then 'sequence ' when 'c' then 'type ' else 'relation ' end || n.nspname || '.' || c.relname,
     concat_ws(' ', 'kind ' || c.relkind::text, 'persistence ' || c.relpersistence::text,
       case when c.relrowsecurity then 'row security' end, case when c.relforcerowsecurity then 'forced' end,
       case when c.relkind in ('v', 'm') then 'options ' || c.reloptions::text end, 'partitioned by ' || pg_catalog.pg_get_partkeydef(c.oid),
       case when c.relispartition <> exists (select from pg_catalog.pg_inherits i join pg_catalog.pg_class p on p.oid = i.inhparent and p.relkind in ('p', 'I') where i.inhrelid = c.oid) then 'says falsely whether it is a partition' end,
       case when not c.relhassubclass and exists (select from pg_catalog.pg_inherits i where i.inhparent = c.oid) then 'its partitions are out of force' end,
       case when not c.relhasrules and exists (select from pg_catalog.pg_rewrite r where r.ev_class = c.oid) then 'its rules are out of force' end,
       'stored by ' || (select m.amname from pg_catalog.pg_am m where m.oid = c.relam and m.amname <> 'heap'),
       pg_catalog.pg_get_expr(c.relpartbound, c.oid),
       case when not c.relhastriggers and exists (select from pg_catalog.pg_trigger t where t.tgrelid = c.oid) then 'its triggers are out of force' end,
       case when c.relchecks <> (select count(*) from pg_catalog.pg_constraint k where k.conrelid = c.oid and k.contype = 'c') then 'its checks are out of force' end,
       case when not c.relhasindex and exists (select from pg_catalog.pg_index i where i.indrelid = c.oid) then 'its indexes are out of force' end,
       (select concat_ws(' ', 'from', s.seqstart, 'by', s.seqincrement, 'within', s.seqmin, s.seqmax, s.seqtypid::regtype::text, case when s.seqcycle then 'cycles' end) from pg_catalog.pg_sequence s where s.seqrelid = c.oid),
       case when c.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(c.oid) end)
   from ${relations} where ${foreignRelation} and c.relkind not in ('i', 'I')`,

  // What a statement about the parent reads: everything that is its child, of whatever kind and in whatever schema. A
  // child that is being detached is left out.
  `select 'child ' || i.inhrelid::regclass::text || ' of ' || i.inhparent::regclass::text, concat_ws(' ', case when i.inhseqno <> 1 then 'number ' || i.inhseqno end, case when i.inhdetachpending then 'is being detached' end)
   from pg_catalog.pg_inherits i`,

  `select 'column ' || n.nspname || '.' || c.relname || '.' || a.attname,
     concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod), 'number ' || row_number() over (partition by c.oid order by a.attnum),
       case when a.attnotnull then 'not null' end, 'identity ' || nullif(a.attidentity::text, ''), 'generated ' || nullif(a.attgenerated::text, ''),
       'default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid),
       case when a.attcollation <> t.typcollation then 'collate ' || a.attcollation::regcollation::text end)
   from ${relations} join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     join pg_catalog.pg_type t on t.oid = a.atttypid left join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
   where ${foreignRelation} and c.relkind not in ('i', 'I', 'S')`,

  // What is never null stands with its column: only newer servers have a constraint for it.
  `select 'constraint ' || n.nspname || '.' || c.relname || '.' || k.conname,
     concat_ws(' ', pg_catalog.pg_get_constraintdef(k.oid), case when not k.convalidated then 'was not validated' end,
       case when k.contype = 'f' then 'kept by ' || (select string_agg(t.tgfoid::regproc || case when t.tgenabled <> 'O' or not t.tgisinternal then ' out of force' else '' end, ' ' order by t.tgfoid)
         from pg_catalog.pg_trigger t where t.tgconstraint = k.oid) end)
   from pg_catalog.pg_constraint k join ${relations} on c.oid = k.conrelid where ${foreignRelation} and k.contype in ('c', 'f', 'p', 'u', 'x')`,

  `select 'index ' || n.nspname || '.' || c.relname,
     concat_ws(' ', pg_catalog.pg_get_indexdef(c.oid), case when not (i.indisvalid and i.indisready and i.indislive and i.indimmediate) then 'is out of force' end)
   from ${relations} join pg_catalog.pg_index i on i.indexrelid = c.oid where ${foreignRelation} and c.relkind in ('i', 'I')`,

  `select 'policy ' || p.polrelid::regclass::text || '.' || p.polname,
     concat_ws(' ', case when p.polpermissive then 'permissive' else 'restrictive' end, 'for ' || p.polcmd::text,
       'to ' || (select string_agg(case r when 0 then 'public' else pg_catalog.pg_get_userbyid(r) end, ', ' order by r) from unnest(p.polroles) r),
       'using ' || pg_catalog.pg_get_expr(p.polqual, p.polrelid), 'with check ' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
   from pg_catalog.pg_policy p`,

  // A trigger that says that it is internal is one only when a foreign key owns it and the server brought its function.
  `select 'trigger ' || t.tgrelid::regclass::text || '.' || t.tgname,
     concat_ws(' ', pg_catalog.pg_get_triggerdef(t.oid), case when t.tgenabled <> 'O' then 'enabled ' || t.tgenabled::text end, case when t.tgisinternal and t.tgparentid = 0 then 'hidden' end)
   from pg_catalog.pg_trigger t
   where not (t.tgisinternal and t.tgfoid < ${firstForeign} and exists (select from pg_catalog.pg_constraint k
     where k.oid = t.tgconstraint and k.contype = 'f' and t.tgrelid in (k.conrelid, k.confrelid)))`,

  `select 'rule ' || r.ev_class::regclass::text || '.' || r.rulename, concat_ws(' ', r.ev_type, r.ev_enabled, case when r.is_instead then 'instead' end)
   from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class
   where ${ofOthers('r.oid')} and not (r.rulename = '_RETURN' and c.relkind in ('v', 'm') and r.ev_type = '1' and r.ev_enabled = 'O' and r.is_instead)`,

  // Of the server's own functions nearly all are machine code. The few that are not are listed, too: one that was
  // replaced keeps its identifier.
  `select 'function ' || p.oid::regprocedure::text,
     case when p.prokind in ('f', 'p') then pg_catalog.pg_get_functiondef(p.oid) else 'kind ' || p.prokind::text end
   from pg_catalog.pg_proc p where ${ofOthers('p.oid')} or p.oid < ${firstGiven} and p.prolang not in (select l.oid from pg_catalog.pg_language l where l.lanname in ('internal', 'c') and l.oid < ${firstForeign})`,

  `select 'type ' || t.oid::regtype::text, concat_ws(' ', 'kind ' || t.typtype::text, nullif(pg_catalog.format_type(t.typbasetype, t.typtypmod), '-'), case when t.typnotnull then 'not null' end,
     'default ' || t.typdefault, (select string_agg(e.enumlabel, ', ' order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = t.oid),
     (select string_agg(k.conname || ' ' || pg_catalog.pg_get_constraintdef(k.oid), ', ' order by k.conname) from pg_catalog.pg_constraint k where k.contypid = t.oid and k.contype = 'c'))
   from pg_catalog.pg_type t where ${ofOthers('t.oid')} and t.typrelid = 0
     and not exists (select from pg_catalog.pg_type e where e.typarray = t.oid and t.typelem = e.oid and t.typtype = 'b' and t.typinput = 'array_in'::regproc)`,

  `select 'operator ' || o.oid::regoperator::text, o.oprcode::text from pg_catalog.pg_operator o where ${ofOthers('o.oid')}`,
  `select 'cast ' || k.castsource::regtype::text || ' as ' || k.casttarget::regtype::text, concat_ws(' ', k.castcontext, k.castmethod, k.castfunc::regprocedure::text) from pg_catalog.pg_cast k where ${ofOthers('k.oid')}`,
  `select 'operator class ' || o.opcname, o.opcintype::regtype::text from pg_catalog.pg_opclass o where ${ofOthers('o.oid')}`,
  `select 'operator family ' || f.opfname, '' from pg_catalog.pg_opfamily f where ${ofOthers('f.oid')}`,
  `select 'member of operator family ' || f.opfname || ' ' || o.amopopr::regoperator::text, '' from pg_catalog.pg_amop o join pg_catalog.pg_opfamily f on f.oid = o.amopfamily where ${ofOthers('o.oid')}`,
  `select 'function of operator family ' || f.opfname || ' ' || o.amproc::text, '' from pg_catalog.pg_amproc o join pg_catalog.pg_opfamily f on f.oid = o.amprocfamily where ${ofOthers('o.oid')}`,
  `select 'language ' || l.lanname, '' from pg_catalog.pg_language l where ${ofOthers('l.oid')}`,
  `select 'access method ' || m.amname, '' from pg_catalog.pg_am m where ${ofOthers('m.oid')}`,
  `select 'conversion ' || k.conname, '' from pg_catalog.pg_conversion k where ${ofOthers('k.oid')}`,
  `select 'collation ' || k.oid::regcollation::text, '' from pg_catalog.pg_collation k where ${ofOthers('k.oid')} and k.collnamespace <> 'pg_catalog'::regnamespace`,
  `select 'transform of ' || f.trftype::regtype::text, '' from pg_catalog.pg_transform f where ${ofOthers('f.oid')}`,
  `select 'foreign server ' || s.srvname, '' from pg_catalog.pg_foreign_server s`,
  `select 'event trigger ' || e.evtname, concat_ws(' ', e.evtevent, e.evtenabled, e.evtfoid::regproc::text) from pg_catalog.pg_event_trigger e`,
  `select 'publication ' || p.pubname, '' from pg_catalog.pg_publication p`,
  `select 'subscription ' || s.subname, '' from pg_catalog.pg_subscription s where s.subdbid = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())`,
  `select 'extension ' || e.extname, '' from pg_catalog.pg_extension e`,

  // Whoever made the list of migrations owns everything.
  `select 'owner of ' || x.what, pg_catalog.pg_get_userbyid(x.owner) from (
     select n.nspname || '.' || c.relname as what, c.relowner as owner from ${relations} where ${foreignRelation}
     union all select p.oid::regprocedure::text, p.proowner from pg_catalog.pg_proc p where ${ofOthers('p.oid')}) x
   where x.owner is distinct from (select m.relowner from pg_catalog.pg_class m where m.oid = pg_catalog.to_regclass('public.schema_migration'))`,

  // Of a role of ours the migration sets how long it may do nothing, and nothing else.
  `select 'setting of ' || case s.setrole when 0 then 'every role' else pg_catalog.pg_get_userbyid(s.setrole)::text end || case s.setdatabase when 0 then '' else ' in this database' end || ': ' || split_part(x.one, '=', 1),
     substr(x.one, position('=' in x.one) + 1)
   from pg_catalog.pg_db_role_setting s cross join lateral unnest(s.setconfig) x(one)
   where s.setdatabase in (0, (select d.oid from pg_catalog.pg_database d where d.datname = current_database()))
     and (s.setrole = 0 or pg_catalog.pg_get_userbyid(s.setrole) in ('cofferdam_warden', 'cofferdam_admin', 'cofferdam_auditor'))
     and not (s.setrole <> 0 and s.setdatabase = 0 and x.one in ('idle_in_transaction_session_timeout=10s', 'transaction_timeout=60s'))`,

  // What only a superuser may set cannot be set by the connection itself.
  `select 'setting session_replication_role', current_setting('session_replication_role') where current_setting('session_replication_role') <> 'origin'`,
];

/**
 * The tables of the catalogue whose rows give words their meaning, each with the column that identifies its object, and
 * with the words for a row `o` of it. Relations are not among them, because upkeep writes their rows; their columns and
 * rules are.
 */
const meanings: readonly (readonly [table: string, identifier: string, words: string])[] = [
  // Rights on the schema of our own objects are set by each migration.
  ['pg_namespace', 'oid', "'schema ' || nullif(o.nspname, 'public')"],
  ['pg_proc', 'oid', "'function ' || o.oid::regprocedure::text"],
  ['pg_aggregate', 'aggfnoid', "'aggregate ' || o.aggfnoid::oid::regprocedure::text"],
  ['pg_type', 'oid', "'type ' || o.oid::regtype::text"],
  ['pg_range', 'rngtypid', "'range ' || o.rngtypid::regtype::text"],
  ['pg_operator', 'oid', "'operator ' || o.oid::regoperator::text"],
  ['pg_cast', 'oid', "'cast ' || o.castsource::regtype::text || ' as ' || o.casttarget::regtype::text"],
  ['pg_opclass', 'oid', "'operator class ' || o.opcname"],
  ['pg_opfamily', 'oid', "'operator family ' || o.opfname"],
  ['pg_amop', 'oid', "'member of an operator family ' || o.amopopr::regoperator::text"],
  ['pg_amproc', 'oid', "'function of an operator family ' || o.amproc::text"],
  ['pg_am', 'oid', "'access method ' || o.amname"],
  ['pg_language', 'oid', "'language ' || o.lanname"],
  ['pg_collation', 'oid', "'collation ' || o.oid::regcollation::text"],
  ['pg_conversion', 'oid', "'conversion ' || o.conname"],
  ['pg_transform', 'oid', "'transform of ' || o.trftype::regtype::text"],
  ['pg_attribute', 'attrelid', "'column ' || o.attrelid::regclass::text || '.' || o.attname"],
  ['pg_attrdef', 'adrelid', "'default in ' || o.adrelid::regclass::text"],
  ['pg_constraint', 'oid', "'constraint ' || o.conname"],
  ['pg_rewrite', 'oid', "'rule ' || o.ev_class::regclass::text || '.' || o.rulename"],
];

/**
 * The server made its own objects before anybody could connect, in its first transactions, of which the last one for a
 * database brought PL/pgSQL. An object that has one of the server's identifiers and was written by a later transaction
 * is another one than the server's: somebody made it, or changed it. A row keeps the number of the transaction that
 * wrote it, whatever upkeep does to it.
 */
const firstTransactionsMax = 1000;
const lastOfServer = `least(${firstTransactionsMax}, coalesce((select e.xmin::text::bigint from pg_catalog.pg_extension e where e.extname = 'plpgsql' and e.oid < ${firstForeign}), ${firstTransactionsMax}))`;
const ofServer: readonly string[] = meanings.map(
  ([table, identifier, words]) =>
    `select 'object of the server: ' || ${words}, 'not as the server made it' from pg_catalog.${table} o
     where o.${identifier} < ${firstForeign} and o.xmin::text::bigint > ${lastOfServer} and (${words}) is not null`,
);

/** Returns everything that is in the catalogue now and was not brought by the server, in no order. */
export async function describeCatalogue(query: Transaction['query']): Promise<readonly Described[]> {
  const [before] = await query<Record<string, string>>(
    `select ${spellingNames.map((name) => `pg_catalog.current_setting('${name}') as "${name}"`).join(', ')}`,
  );
  const set = (values: Readonly<Record<string, string>>): Promise<unknown> =>
    query(
      `select ${spellingNames.map((name, i) => `pg_catalog.set_config('${name}', $${i + 1}, false)`).join(', ')}`,
      spellingNames.map((name) => values[name]),
    );
  await set(spelling);
  const found = await query<Described>(
    `select x.what, x.text from (${[...parts, ...ofServer].join('\nunion all ')}) x(what, text)`,
  );
  await set(before ?? spelling);
  return found;
}
