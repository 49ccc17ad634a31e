// Owns: the SQL of alerts. There is one row for each kind, subject and hour; repetitions are counted in it.
import type { AccountId, CustomerId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { leaveAlert } from '../../postgres/drafts.ts';
import type { AlertKind } from './alert-kinds.ts';

type Severity = 'notice' | 'warning' | 'critical';
export type NewAlert = {
  readonly kind: AlertKind;
  readonly severity: Severity;
  /** What the alert is about. Together with the kind and the hour it identifies the row. */
  readonly subject: string;
  readonly customer?: CustomerId | null;
  readonly account?: AccountId | null;
  readonly text: string;
  readonly facts: Readonly<Record<string, unknown>>;
  /** The command that an operator types next. */
  readonly nextCommand: string;
  /** The text for the account's contact, worded for somebody outside the house. */
  readonly contactText?: string;
  readonly count?: number;
};

/**
 * Writes an alert, or counts it in the row of the same kind, subject and hour, and leaves it for the process's own
 * sink, which hears of it when the transaction has ended, whatever the database made of the row. Alerts about accounts
 * of self-tests are not written, because a self-test provokes refusals on purpose; what a self-test finds is raised
 * without an account. `logged_at` is written explicitly: no default of the column says that an alert was told.
 */
export async function insertAlert(tx: Transaction, alert: NewAlert): Promise<void> {
  const [made] = await tx.query<Made>(
    `with made as (
       insert into alert (kind, severity, subject, hour, customer_id, account_id, text, facts, next_command, contact, contact_text, count, logged_at)
       select $1, $2, $3, date_trunc('hour', clock_timestamp()), $4, $5, $6, $7, $8, (select a.contact from account a where a.id = $5), $9, $10, null
         where not exists (select 1 from account a where a.id = $5 and a.is_self_test)
       on conflict (kind, subject, hour) do update set count = alert.count + excluded.count, last_at = clock_timestamp(), text = excluded.text, facts = excluded.facts
       returning id, contact, logged_at is not null and xmax = 0 as "isMarked")
     select m.id, m.contact, coalesce(m."isMarked", false) as "isMarked", exists (select 1 from account a where a.id = $5 and a.is_self_test) as "isOfTest"
     from (select) x left join made m on true`,
    [
      alert.kind,
      alert.severity,
      alert.subject,
      alert.customer ?? null,
      alert.account ?? null,
      alert.text,
      JSON.stringify(alert.facts),
      alert.nextCommand,
      alert.contactText ?? null,
      alert.count ?? 1,
    ],
  );
  if (made?.isOfTest === true && made.id === null) return;
  leaveAlert(tx, {
    id: made?.id ?? null,
    kind: alert.kind,
    severity: alert.severity,
    subject: alert.subject,
    text: alert.text,
    facts: alert.facts,
    nextCommand: alert.nextCommand,
    contact: made?.contact ?? null,
    contactText: alert.contactText ?? null,
    oddity: oddityOf(made),
  });
}

type Made = {
  readonly id: string | null;
  readonly contact: string | null;
  readonly isMarked: boolean;
  readonly isOfTest: boolean;
};

/** Returns what an honest database does not do with the row of an alert; null when there is nothing to say. */
function oddityOf(made: Made | undefined): string | null {
  if (made === undefined || made.id === null) return 'the database made no row of it';
  return made.isMarked ? 'the database marked it as logged before it was' : null;
}

export type AlertRow = {
  readonly id: string;
  readonly kind: string;
  readonly severity: Severity;
  readonly subject: string;
  readonly text: string;
  readonly facts: unknown;
  readonly next_command: string;
  readonly contact: string | null;
  readonly contact_text: string | null;
};

/** Returns the ids of up to `limit` alerts that were not logged yet, the oldest first. */
export async function findUnlogged(tx: Transaction, limit: number): Promise<readonly string[]> {
  const rows = await tx.query<{ id: string }>(
    'select id from alert where logged_at is null order by first_at limit $1',
    [limit],
  );
  return rows.map((row) => row.id);
}

/**
 * Locks and returns those of the alerts that are still not logged. Rows that another warden has locked are left out.
 */
export async function takeUnlogged(tx: Transaction, ids: readonly string[]): Promise<readonly AlertRow[]> {
  return tx.query<AlertRow>(
    `select id, kind, severity, subject, text, facts, next_command, contact, contact_text from alert
     where id = any ($1::uuid[]) and logged_at is null order by first_at for update skip locked`,
    [ids],
  );
}

export async function markLogged(tx: Transaction, ids: readonly string[]): Promise<void> {
  await tx.query('update alert set logged_at = clock_timestamp() where id = any ($1::uuid[])', [ids]);
}
