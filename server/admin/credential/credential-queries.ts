// Owns: the SQL of what operators may read about credentials. It reads no key material and no
// hash; the admin process's database role could not select them.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { Selection } from '../../rpc/operators/credential.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { plainRow, type Raw } from '../reading/rows.ts';

type CredentialRow = Result<OperatorToAdmin, 'credential.list'>['credentials'][number];

type Event = Result<OperatorToAdmin, 'credential.show'>['history'][number];

const rowColumns = `k.fingerprint, k.type, a.name as account, c.name as customer, k.algorithm,
  credential_state(k.state, k.valid_from, k.expires_at, k.last_used_at, k.woken_at, $1) as state, k.issued_by as "issuedBy", k.created_at as "createdAt",
  k.valid_from as "validFrom", k.expires_at as "expiresAt", k.first_used_at as "firstUsedAt", host(k.first_used_from) as "firstUsedFrom",
  k.last_used_at as "lastUsedAt", host(k.last_used_from) as "lastUsedFrom", k.read_only as "readOnly", k.source_networks::text[] as networks,
  s.fingerprint as successor, (select count(*) from session x where x.state = 'open' and (x.credential_id = k.id or x.also_credential_id = k.id)) as "openSessions",
  k.ended_at as "endedAt", k.ended_by as "endedBy", k.ended_why as "endedWhy"`;
const rowJoins = `from credential k join account a on a.id = k.account_id left join customer c on c.id = a.customer_id left join credential s on s.id = k.successor_id`;

type Filter = {
  readonly customer?: string | undefined;
  readonly account?: string | undefined;
  readonly state?: string | undefined;
};

export async function listCredentials(
  tx: Transaction,
  dormantMs: number,
  filter: Filter,
): Promise<readonly CredentialRow[]> {
  const rows = await tx.query<Raw<CredentialRow>>(
    `select * from (select ${rowColumns} ${rowJoins} where not a.is_self_test and ($2::text is null or c.name = $2) and ($3::text is null or a.name = $3)) x
     where $4::text is null or state = $4 order by account, "createdAt" limit 20000`,
    [dormantMs, filter.customer ?? null, filter.account ?? null, filter.state ?? null],
  );
  return rows.map((row) => plainRow<CredentialRow>(row));
}

export async function findCredential(
  tx: Transaction,
  dormantMs: number,
  fingerprint: string,
): Promise<CredentialRow | undefined> {
  const [row] = await tx.query<Raw<CredentialRow>>(
    `select ${rowColumns} ${rowJoins} where k.id = credential_named($2)`,
    [dormantMs, fingerprint],
  );
  return row && plainRow<CredentialRow>(row);
}

/** Returns the newest 100 entries of the record about a credential. */
export async function credentialHistory(tx: Transaction, fingerprint: string): Promise<readonly Event[]> {
  const rows = await tx.query<{ at: Date; kind: string; by: string | null; text: string }>(
    `select l.at, l.kind, l.sensitive ->> 'by' as by, coalesce(l.sensitive ->> 'reason', l.sensitive ->> 'why', l.sensitive ->> 'expiresAt', '') as text
     from ledger l join credential k on k.id = credential_named($1) join account a on a.id = k.account_id
     where l.kind like 'credential.%' and l.account_id = a.id and l.customer_id is not distinct from a.customer_id and l.credential = $1
     order by l.at desc limit 100`,
    [fingerprint],
  );
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
}

/** Returns the credentials that are dormant or expired, or will be soon. */
export async function staleCredentials(
  tx: Transaction,
  dormantMs: number,
  warnMs: number,
): Promise<readonly CredentialRow[]> {
  const rows = await tx.query<Raw<CredentialRow>>(
    `select ${rowColumns} ${rowJoins} where not a.is_self_test and k.state in ('active', 'retiring') and (
       k.expires_at < clock_timestamp() + $2 * interval '1 millisecond'
       or greatest(k.last_used_at, k.woken_at, k.valid_from) < clock_timestamp() - ($1 - least($2, $1 / 2)) * interval '1 millisecond')
     order by k.expires_at limit 20000`,
    [dormantMs, warnMs],
  );
  return rows.map((row) => plainRow<CredentialRow>(row));
}

/**
 * Returns the credentials that the warden would select. For `isRotation` these are usable public keys that are in no
 * rotation.
 */
export async function plannedCredentials(
  tx: Transaction,
  dormantMs: number,
  chosen: Selection,
  isRotation: boolean,
): Promise<readonly CredentialRow[]> {
  const rows = await tx.query<Raw<CredentialRow>>(
    `select ${rowColumns} ${rowJoins} where k.id in (select chosen_credentials($2, $3, $4, $5, $6))
       and (not $7 or (k.type = 'public-key' and k.state in ('active', 'retiring')
         and not exists (select 1 from rotation_item i where i.credential_id = k.id and i.state in ('planned', 'open'))))
     order by a.name, k.created_at limit 20000`,
    [
      dormantMs,
      chosen.customer ?? null,
      chosen.account ?? null,
      chosen.fingerprint ?? null,
      chosen.staleBefore ?? null,
      chosen.usedFrom ?? null,
      isRotation,
    ],
  );
  return rows.map((row) => plainRow<CredentialRow>(row));
}

/** Returns how many of the accounts that own these credentials have no other usable credential. */
export async function countLockedOut(
  tx: Transaction,
  dormantMs: number,
  fingerprints: readonly string[],
): Promise<number> {
  const [row] = await tx.query<{ n: number }>(
    `select count(*) as n from (select distinct account_id from credential where fingerprint = any ($2) and state <> 'revoked') gone
     where not exists (select 1 from credential k where k.account_id = gone.account_id and k.fingerprint <> all ($2)
       and credential_state(k.state, k.valid_from, k.expires_at, k.last_used_at, k.woken_at, $1) in ('active', 'retiring'))`,
    [dormantMs, fingerprints],
  );
  return row?.n ?? 0;
}
