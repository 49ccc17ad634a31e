// Owns: the findings about the database: version, settings, the whole matrix of rights, row-level security, roles,
// triggers, its clock.
import type { Shares } from '../../config/shares.ts';
import { differencesInWords } from '../../postgres/catalogue.ts';
import { connectionLimit, connectionsOf } from '../../postgres/connection-limits.ts';
import { type Catalogue, compareGrants, type Grant } from '../../postgres/grant-matrix.ts';
import type { DatabaseFacts, RoleFact, TriggerFacts } from './catalogue-queries.ts';
import { type Finding, fault, ok, someOf, warning } from './finding.ts';

const versionMin = 15;

export function databaseFindings(facts: DatabaseFacts): readonly Finding[] {
  const wrong = Object.entries(facts.settings).filter(([name, value]) =>
    name === 'default_transaction_isolation'
      ? value !== 'read committed'
      : name === 'synchronous_commit'
        ? !['on', 'remote_apply'].includes(value)
        : value === 'off',
  );
  return [
    facts.versionNumber >= versionMin * 10_000
      ? ok('database version', `PostgreSQL ${facts.version}`)
      : fault(
          'database version',
          `PostgreSQL ${facts.version}: ${versionMin} or newer is needed`,
          'upgrade it with pg_upgrade; the next start refuses this server',
        ),
    wrong.length === 0
      ? ok('database settings', 'fsync, full_page_writes and synchronous_commit are on')
      : fault(
          'database settings',
          wrong.map(([name, value]) => `${name} is ${value}`).join(', '),
          `until then acknowledged files may be lost: ${wrong.map(([name]) => `alter system reset ${name};`).join(' ')} select pg_reload_conf();`,
        ),
    facts.patientRoles.length === 0
      ? ok('idle transactions', 'are ended within a minute for every role')
      : warning(
          'idle transactions',
          `idle_in_transaction_session_timeout is not set for ${facts.patientRoles.join(', ')}`,
          'run `cofferdam migrate`, which sets it',
        ),
    facts.oldSnapshots.length === 0
      ? ok('old snapshots', 'none: budget rows are pruned')
      : warning(
          'old snapshots',
          `${facts.oldSnapshots.join('; ')}: grants slow down to a tenth while it lives`,
          'end it (select pg_terminate_backend(…)), or drop the slot; back up with base backup and WAL, not with pg_dump',
        ),
    facts.demoAccounts === 0
      ? ok('demo accounts', 'none')
      : warning(
          'demo accounts',
          `${facts.demoAccounts} demo accounts exist`,
          'fine on loopback; never put this database behind another address',
        ),
  ];
}

/**
 * Returns the finding whether the server has enough connections for the processes of this configuration, and for how
 * many wardens.
 */
export function connectionFinding(
  facts: Pick<DatabaseFacts, 'connectionsMax' | 'connectionsOfSuperusers'>,
  shares: Shares,
  forwards: number,
): Finding {
  const check = 'database connections';
  const { warden, admin } = connectionsOf(shares, forwards);
  const limit = connectionLimit('admin', facts.connectionsMax);
  const wardens = Math.floor((facts.connectionsMax - facts.connectionsOfSuperusers - Math.min(limit, admin)) / warden);
  const text = `max_connections is ${facts.connectionsMax}: a warden takes up to ${warden}, the admin process up to ${admin}`;
  const next = `set max_connections to ${facts.connectionsOfSuperusers + admin + 2 * warden} or more in postgresql.conf and restart the server; then \`cofferdam migrate\``;
  if (wardens < 1) return fault(check, `${text}: too few for one warden`, next);
  if (limit < admin) return fault(check, `${text}, and its role may have ${limit}`, next);
  if (wardens < 2)
    return warning(check, `${text}: too few for a second warden, which takes over when this one restarts`, next);
  return ok(check, `${text}; there is room for ${wardens} wardens`);
}

const ours = /^(?:cofferdam_warden|cofferdam_admin|cofferdam_auditor|public): /;

/** Compares the rights in the catalogue with the expected ones, which are those of `migrations/grants.sql`. */
export function grantFindings(expected: readonly Grant[], catalogue: Catalogue): readonly Finding[] {
  const { excess, missing } = compareGrants(expected, catalogue);
  const tooMuch = excess.filter((one) => ours.test(one));
  const others = excess.filter((one) => !ours.test(one));
  const next =
    '`cofferdam migrate` applies migrations/grants.sql again; find out who granted it: look into the log of the database for GRANT';
  return [
    ...(tooMuch.length === 0 ? [] : [fault('database grants', `${tooMuch.length} too many: ${someOf(tooMuch)}`, next)]),
    ...(missing.length === 0 ? [] : [fault('database grants', `${missing.length} missing: ${someOf(missing)}`, next)]),
    ...(tooMuch.length + missing.length === 0
      ? [
          ok(
            'database grants',
            `all ${catalogue.grants.length - others.length} rights of warden, admin, auditor and public are those of the matrix`,
          ),
        ]
      : []),
    ...(others.length === 0
      ? []
      : [
          warning(
            'database grants of others',
            `${others.length} rights of roles that the matrix does not know: ${someOf(others)}`,
            'revoke them (revoke all on all tables in schema public from ROLE), or know why they are there',
          ),
        ]),
  ];
}

export function roleFindings(roles: readonly RoleFact[]): readonly Finding[] {
  const strong = roles.filter((one) => one.powers.length > 0);
  if (strong.length === 0)
    return [
      ok(
        'database roles',
        'no role is superuser, makes roles, schemas or temporary tables, passes over row-level security, owns or inherits anything',
      ),
    ];
  return strong.map(({ role, powers }) =>
    fault(
      'database roles',
      `${role}: ${someOf(powers)}`,
      '`cofferdam migrate` takes attributes and rights on the database away; memberships: revoke GROUP from ROLE; objects: alter table NAME owner to the migrating login',
    ),
  );
}

export function rowSecurityFindings(
  tables: readonly { readonly table: string; readonly wrong: string | null }[],
): readonly Finding[] {
  const wrong = tables.flatMap((one) => (one.wrong === null ? [] : [`${one.table} ${one.wrong}`]));
  return [
    wrong.length === 0
      ? ok('row-level security', `enabled and forced on all ${tables.length} tables that belong to customers`)
      : fault(
          'row-level security',
          someOf(wrong),
          'alter table NAME enable row level security, force row level security; drop foreign policies; then find out who did it',
        ),
  ];
}

export function triggerFindings({ unguarded, disabled }: TriggerFacts): readonly Finding[] {
  return [
    unguarded.length === 0
      ? ok('ledger trigger', 'the record is insert only')
      : fault(
          'ledger trigger',
          `nothing keeps the record from being changed or deleted: ${someOf(unguarded)}`,
          'alter table NAME enable trigger all; then verify the record against its witness (cofferctl ledger verify)',
        ),
    ...(disabled.length === 0
      ? []
      : [
          fault(
            'triggers',
            `disabled: ${someOf(disabled)}`,
            'alter table NAME enable trigger all; then find out who disabled them',
          ),
        ]),
  ];
}

const differencesMax = 100;
/**
 * Returns the finding about everything in the catalogue that decides what a statement means. Each difference is named.
 */
export function catalogueFinding(differences: readonly string[]): Finding {
  const check = 'database catalogue';
  return differences.length === 0
    ? ok(
        check,
        'views, policies, columns, constraints, triggers, functions, owners and settings of roles are those of the migrations',
      )
    : fault(
        check,
        differencesInWords(differences, differencesMax),
        'find out who did that, and since when; drop what is unknown, make the others again as migrations/*.sql and migrations/functions/*.sql have them (alter role NAME reset SETTING); until then believe no answer',
      );
}

export function clockFinding(databaseNow: Date): Finding {
  const differenceMs = Math.abs(databaseNow.getTime() - Date.now());
  return differenceMs < 2000
    ? ok('clock', `database and this machine agree within ${Math.max(1, Math.round(differenceMs))} ms`)
    : fault(
        'clock',
        `database and this machine differ by ${Math.round(differenceMs / 1000)} s`,
        'set both clocks by NTP (timedatectl set-ntp true): codes and windows depend on them',
      );
}
