// Owns: the SQL of the access review, which the database roles of the admin process and of the auditor may run. It
// reads no key material and no hash; neither role could select them.
import type { Transaction } from '../../postgres/database.ts';
import type { Params } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';

export type AccessFact = {
  readonly now: Date;
  readonly account: string;
  readonly kind: 'person' | 'machine';
  readonly plane: string;
  readonly state: string;
  readonly expiresAt: Date | null;
  readonly contact: string | null;
  readonly manages: boolean;
  readonly readOnly: boolean;
  readonly networks: string[];
  /** The sets of proofs that the policy of the account's own customer allows; null means all of them. */
  readonly allowed: readonly string[] | null;
  readonly secondFactor: boolean;
  readonly hasKey: boolean;
  readonly hasPassword: boolean;
  readonly endedCredentials: number;
  readonly windows: readonly WindowFact[] | null;
  readonly windowCount: number;
  readonly customer: string | null;
  readonly customerState: string | null;
  readonly folder: string | null;
  readonly direction: string | null;
  readonly readBack: boolean | null;
  readonly verbs: readonly string[] | null;
  readonly fingerprint: string | null;
  readonly type: 'public-key' | 'password' | null;
  readonly algorithm: string | null;
  readonly credentialState: string | null;
  readonly issuedBy: string | null;
  readonly issuedAt: Date | null;
  readonly validFrom: Date | null;
  readonly credentialExpiresAt: Date | null;
  readonly firstUsedAt: Date | null;
  readonly firstUsedFrom: string | null;
  readonly lastUsedAt: Date | null;
  readonly lastUsedFrom: string | null;
  readonly credentialReadOnly: boolean | null;
  readonly credentialNetworks: string[] | null;
};
/** An activation window as JSON of the database, in which instants are text. */
type WindowFact = {
  readonly name: string | null;
  readonly schedule: string | null;
  readonly opensAt: string;
  readonly closesAt: string;
  readonly isOpenNow: boolean;
  readonly openedBy: string;
  readonly reason: string;
};

/**
 * Returns the next rows in the order of names, so that any number of pages together is complete: a row that exists all
 * the time is on one of them. Names are ordered by bytes, because a cursor must mean the same to every database. The
 * rights are those that a login would find.
 */
export async function listAccess(
  tx: Transaction,
  dormantMs: number,
  { customer, account, after }: Params<OperatorToAdmin, 'report.access'>,
  limit: number,
): Promise<readonly AccessFact[]> {
  return tx.query<AccessFact>(
    `with good as not materialized (
       select k.*, credential_state(k.state, k.valid_from, k.expires_at, k.last_used_at, k.woken_at, $1) as shown
       from (select id, account_id, type, algorithm, fingerprint, state, issued_by, created_at, valid_from, expires_at, first_used_at, first_used_from,
         last_used_at, last_used_from, woken_at, read_only, source_networks from credential where state <> 'revoked' and expires_at > clock_timestamp()) k
     ), page as (
       select a.id, a.name::text collate "C" as account, c.name::text collate "C" as customer, c.state as customer_state, f.name as folder, f.direction, f.read_back, r.verbs,
         k.id as credential, k.fingerprint collate "C" as fingerprint
       from account a
         left join folder_right r on r.account_id = a.id and (a.customer_id is null or a.customer_id = r.customer_id) and r.verbs <> '{}'
         left join folder f on f.id = r.folder_id
         left join customer c on c.id = coalesce(r.customer_id, a.customer_id)
         left join good k on k.account_id = a.id
       where not a.is_self_test and ($2::text is null or c.name = $2) and ($3::text is null or a.name = $3)
         and ($4::text is null or (a.name::text collate "C", coalesce(c.name::text, '') collate "C", coalesce(f.name, '') collate "C", coalesce(k.fingerprint, '') collate "C")
           > ($4, coalesce($5, ''), coalesce($6, ''), coalesce($7, '')))
       order by a.name::text collate "C", coalesce(c.name::text, '') collate "C", coalesce(f.name, '') collate "C", coalesce(k.fingerprint, '') collate "C"
       limit $8
     )
     select clock_timestamp() as now, p.account, a.kind, a.plane, a.state, a.expires_at as "expiresAt", a.contact, a.manages, a.read_only as "readOnly",
       a.source_networks::text[] as networks, own.allowed_proofs as allowed,
       exists (select 1 from second_factor s where s.account_id = a.id and s.enrolled_at is not null) as "secondFactor",
       exists (select 1 from good g where g.account_id = a.id and g.type = 'public-key' and g.shown in ('active', 'retiring')) as "hasKey",
       exists (select 1 from good g where g.account_id = a.id and g.type = 'password' and g.shown in ('active', 'retiring')) as "hasPassword",
       (select count(*) from credential e where e.account_id = a.id and (e.state = 'revoked' or e.expires_at <= clock_timestamp())) as "endedCredentials",
       w.windows, coalesce(w.n, 0) as "windowCount",
       p.customer, p.customer_state as "customerState", p.folder, p.direction, p.read_back as "readBack", p.verbs,
       p.fingerprint, k.type, k.algorithm, k.shown as "credentialState", k.issued_by as "issuedBy", k.created_at as "issuedAt", k.valid_from as "validFrom",
       k.expires_at as "credentialExpiresAt", k.first_used_at as "firstUsedAt", host(k.first_used_from) as "firstUsedFrom", k.last_used_at as "lastUsedAt",
       host(k.last_used_from) as "lastUsedFrom", k.read_only as "credentialReadOnly", k.source_networks::text[] as "credentialNetworks"
     from page p join account a on a.id = p.id left join customer own on own.id = a.customer_id left join good k on k.id = p.credential
       left join lateral (
         select count(*) as n, json_agg(json_build_object('name', x.name, 'schedule', x.schedule, 'opensAt', x.opens_at, 'closesAt', x.closes_at, 'isOpenNow', x.is_open,
             'openedBy', x.opened_by, 'reason', x.reason) order by x.closes_at, x.id) filter (where x.place <= 10) as windows
         from (select y.*, row_number() over (order by y.closes_at, y.id) as place from (
           select id, null::text as name, null::text as schedule, opens_at, closes_at, clock_timestamp() >= opens_at as is_open, opened_by, reason
             from activation_window where account_id = a.id and closed_at is null and closes_at > clock_timestamp()
           union all
           select id, name, array_to_string(array(select (array['mo', 'tu', 'we', 'th', 'fr', 'sa', 'su'])[d] from unnest(days) d order by d), ',')
               || ' ' || to_char(opens, 'HH24:MI') || '-' || to_char(closes, 'HH24:MI') || ' ' || zone,
               valid_from, valid_until, standing_window_end(s, clock_timestamp()) is not null, opened_by, reason
             from standing_window s where account_id = a.id and closed_at is null and valid_until > clock_timestamp()) y) x) w on a.kind = 'machine'
     order by p.account, coalesce(p.customer, '') collate "C", coalesce(p.folder, '') collate "C", coalesce(p.fingerprint, '') collate "C"`,
    [
      dormantMs,
      customer ?? null,
      account ?? null,
      after?.account ?? null,
      after?.customer ?? null,
      after?.folder ?? null,
      after?.fingerprint ?? null,
      limit,
    ],
  );
}
