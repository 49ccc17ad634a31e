// Owns: the SQL with which doctor examines the database itself: version, settings, rights, row-level security, roles,
// triggers. Every role may read all of it.
// Must never: rely on anything that the database role of the admin process could have changed. Names are qualified, so
// that nothing in a temporary schema can stand before the catalogue.
import type { Transaction } from '../../postgres/database.ts';
import type { Catalogue, Grant } from '../../postgres/grant-matrix.ts';

export type DatabaseFacts = {
  /** The version in the form of `server_version_num`, for instance 150004. */
  readonly versionNumber: number;
  readonly version: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly connectionsMax: number;
  readonly connectionsOfSuperusers: number;
  /** The roles whose idle transactions are not ended within a minute. */
  readonly patientRoles: readonly string[];
  readonly oldSnapshots: readonly string[];
  readonly demoAccounts: number;
};

export async function databaseFacts(tx: Transaction): Promise<DatabaseFacts> {
  const settings = await tx.query<{ name: string; setting: string }>(
    "select name, setting from pg_catalog.pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'default_transaction_isolation', 'server_version_num', 'server_version', 'max_connections', 'superuser_reserved_connections')",
  );
  const patient = await tx.query<{ what: string }>(
    `select rolname as what from pg_catalog.pg_roles where rolname in ('cofferdam_warden', 'cofferdam_admin', 'cofferdam_auditor')
       and not exists (select 1 from unnest(coalesce(rolconfig, '{}')) c where c ~ '^idle_in_transaction_session_timeout=([1-9]\\d{0,3}ms|[1-5]?\\ds|60s|1min)$')`,
  );
  const old = await tx.query<{ what: string }>(
    "select what || ' of ' || who || coalesce(', ' || seconds || ' s old', '') as what from old_snapshots(30) limit 5",
  );
  const [demo] = await tx.query<{ n: number }>('select count(*) as n from account where is_demo');
  const {
    server_version_num: number,
    server_version: version,
    max_connections: most,
    superuser_reserved_connections: reserved,
    ...safety
  } = Object.fromEntries(settings.map((row) => [row.name, row.setting]));
  return {
    versionNumber: Number(number),
    version: version ?? '?',
    settings: safety,
    connectionsMax: Number(most),
    connectionsOfSuperusers: Number(reserved),
    patientRoles: patient.map((row) => row.what),
    oldSnapshots: old.map((row) => row.what),
    demoAccounts: demo?.n ?? 0,
  };
}

/**
 * Returns every right on every object of the schema that somebody other than the owner has, including rights on columns
 * and grant options.
 */
export async function grantCatalogue(tx: Transaction, functions: readonly string[]): Promise<Catalogue> {
  const rows = await tx.query<{ kind: Grant['kind']; name: string; role: string; privilege: string }>(
    `select x.kind, x.name, case when a.grantee = 0 then 'public' else coalesce(r.rolname, a.grantee::text) end as role,
       a.privilege_type || case when a.is_grantable then ' with grant option' else '' end as privilege
     from (
       select case c.relkind when 'S' then 'sequence' else 'table' end as kind, c.relname::text as name, c.relowner as owner,
           coalesce(c.relacl, pg_catalog.acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner)) as acl
         from pg_catalog.pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
       union all
       select 'column', c.relname || '.' || t.attname, c.relowner, t.attacl
         from pg_catalog.pg_attribute t join pg_catalog.pg_class c on c.oid = t.attrelid
         where c.relnamespace = 'public'::regnamespace and t.attacl is not null and not t.attisdropped
       union all
       select 'function', p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))
         from pg_catalog.pg_proc p where p.pronamespace = 'public'::regnamespace
       union all
       select 'schema', n.nspname::text, n.nspowner, coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))
         from pg_catalog.pg_namespace n where n.nspname = 'public') x
       cross join lateral pg_catalog.aclexplode(x.acl) a left join pg_catalog.pg_roles r on r.oid = a.grantee
     where a.grantee <> x.owner and not (x.kind = 'schema' and a.grantee = 0 and a.privilege_type = 'USAGE')`,
  );
  const names = await tx.query<{ kind: string; name: string }>(
    `select 'sequence' as kind, relname::text as name from pg_catalog.pg_class where relnamespace = 'public'::regnamespace and relkind = 'S'
     union all select 'function', oid::regprocedure::text from pg_catalog.pg_proc where pronamespace = 'public'::regnamespace`,
  );
  const spelling = await tx.query<{ asked: string; name: string | null }>(
    "select f as asked, pg_catalog.to_regprocedure('public.' || f)::text as name from unnest($1::text[]) f",
    [functions],
  );
  const of = (kind: string): string[] => names.filter((row) => row.kind === kind).map((row) => row.name);
  return {
    grants: rows,
    sequences: of('sequence'),
    functions: of('function'),
    spelling: new Map(spelling.map((row) => [row.asked, row.name])),
  };
}

export type RoleFact = { readonly role: string; readonly powers: readonly string[] };

/**
 * Returns, for each of our roles, the powers that it must not have: attributes, memberships, and objects of its own.
 */
export async function rolePowers(tx: Transaction): Promise<readonly RoleFact[]> {
  return tx.query<{ role: string; powers: string[] }>(
    `select w.role, case when r.oid is null then array['does not exist'] else array_remove(array[
         case when r.rolsuper then 'superuser' end, case when r.rolcreaterole then 'createrole' end, case when r.rolcreatedb then 'createdb' end,
         case when r.rolbypassrls then 'bypassrls' end, case when r.rolreplication then 'replication' end,
         case when has_database_privilege(r.oid, current_database(), 'TEMPORARY') then 'makes temporary tables' end,
         case when has_database_privilege(r.oid, current_database(), 'CREATE') then 'makes schemas' end], null)
       || array(select 'member of ' || g.rolname from pg_catalog.pg_auth_members m join pg_catalog.pg_roles g on g.oid = m.roleid where m.member = r.oid and not (w.role = 'cofferdam_warden' and g.rolname = 'pg_use_reserved_connections') order by 1)
       || array(select 'owner of ' || c.relname from pg_catalog.pg_class c where c.relowner = r.oid and c.relnamespace = 'public'::regnamespace order by 1)
       || array(select 'owner of ' || p.oid::regprocedure::text from pg_catalog.pg_proc p where p.proowner = r.oid and p.pronamespace = 'public'::regnamespace order by 1)
       || array(select 'owner of the database' from pg_catalog.pg_database d where d.datdba = r.oid and d.datname = current_database()) end as powers
     from unnest(array['cofferdam_warden', 'cofferdam_admin', 'cofferdam_auditor']) w(role) left join pg_catalog.pg_roles r on r.rolname = w.role`,
  );
}

/**
 * Returns the tables that belong to customers, and what is wrong with their row-level security; null when nothing is.
 */
export async function rowSecurity(
  tx: Transaction,
): Promise<readonly { readonly table: string; readonly wrong: string | null }[]> {
  return tx.query<{ table: string; wrong: string | null }>(
    `select c.relname::text as table, case
         when not c.relrowsecurity then 'is not enabled' when not c.relforcerowsecurity then 'is not forced'
         when p.n = 0 then 'has no policy' when p.n > 1 then 'has ' || p.n || ' policies' when not p.is_scope then 'has a policy without in_scope' end as wrong
     from pg_catalog.pg_class c left join lateral (
         select count(*) as n, bool_and(coalesce(pg_catalog.pg_get_expr(q.polqual, q.polrelid), '') like '%in_scope(%'
           and coalesce(pg_catalog.pg_get_expr(q.polwithcheck, q.polrelid), '') like '%in_scope(%') as is_scope
         from pg_catalog.pg_policy q where q.polrelid = c.oid) p on true
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
       and (c.relname = 'customer' or exists (select 1 from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attname = 'customer_id' and not a.attisdropped)
         or exists (select 1 from pg_catalog.pg_policy q where q.polrelid = c.oid))
     order by 1`,
  );
}

export type TriggerFacts = {
  /**
   * Tables of the record that could be changed, deleted from or truncated, because a guard trigger is missing or not in
   * force.
   */
  readonly unguarded: readonly string[];
  readonly disabled: readonly string[];
};

export async function triggerFacts(tx: Transaction): Promise<TriggerFacts> {
  // The bits of tgtype: 2 before, 8 delete, 16 update, 32 truncate.
  const [row] = await tx.query<{ unguarded: string[]; disabled: string[] }>(
    `select array(
         select t.name from (
           select 'ledger_fresh' as name, 'ledger_is_insert_only' as guard, 50 as bits union all select 'ledger_fresh', 'ledger_leaves_sealed', 8
           union all select 'ledger_sealed', 'ledger_is_insert_only', 58 union all select 'ledger_head', 'ledger_is_insert_only', 58
           union all select 'ledger_block', 'ledger_is_insert_only', 58 union all select 'ledger_state', 'ledger_is_insert_only', 42
           union all select i.inhrelid::regclass::text, 'ledger_is_insert_only', 58 from pg_catalog.pg_inherits i where i.inhparent = 'public.ledger_sealed'::regclass) t
         where not exists (select 1 from pg_catalog.pg_trigger g where g.tgrelid = pg_catalog.to_regclass('public.' || t.name) and g.tgname = t.guard and g.tgenabled in ('O', 'A')
           and g.tgtype & t.bits = t.bits and g.tgqual is null and g.tgfoid = pg_catalog.to_regprocedure('public.' || t.guard || '()')) order by 1) as unguarded,
       array(select c.relname || '.' || g.tgname from pg_catalog.pg_trigger g join pg_catalog.pg_class c on c.oid = g.tgrelid
         where c.relnamespace = 'public'::regnamespace and g.tgenabled not in ('O', 'A') order by 1) as disabled`,
  );
  return { unguarded: row?.unguarded ?? ['ledger'], disabled: row?.disabled ?? [] };
}
