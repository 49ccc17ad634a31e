// Owns: the SQL of second factors, of used codes, and of the tickets by which factors are enrolled.
// Must never: change a fact that a seal covers without declaring it first (`declared.ts`), or accept a code that the
// record says was used.
import { createHash } from 'node:crypto';
import type { AccountId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { declareChange, declareEnd, declareNew, fromNow } from '../seals/declared.ts';
import type { RowName } from '../seals/seal-queries.ts';

/**
 * Returns the digest by which the sealed facts of a factor name its seed: SHA-256 over the sealed bytes, hexadecimal.
 */
export const seedDigest = (sealed: Buffer): string => createHash('sha256').update(sealed).digest('hex');

type SealedSeed = { readonly sealed: Buffer; readonly sealedBy: string };

export async function findSeed(tx: Transaction, account: AccountId): Promise<SealedSeed | undefined> {
  const [row] = await tx.query<{ sealed_seed: Buffer; sealed_by: string }>(
    'select sealed_seed, sealed_by from second_factor where account_id = $1 and sealed_seed is not null',
    [account],
  );
  return row && { sealed: row.sealed_seed, sealedBy: row.sealed_by };
}

export const factorName = (account: AccountId): RowName => ({ kind: 'second-factor', id: account });

export const hasFactorRow = async (tx: Transaction, account: AccountId): Promise<boolean> =>
  (await tx.query('select 1 from second_factor where account_id = $1', [account])).length > 0;

/** Locks the row of an account's factor. Returns undefined when the account has never had a factor. */
async function lockFactor(tx: Transaction, account: AccountId): Promise<{ readonly isEmpty: boolean } | undefined> {
  const [row] = await tx.query<{ is_empty: boolean }>(
    'select sealed_seed is null as is_empty from second_factor where account_id = $1 for update',
    [account],
  );
  return row && { isEmpty: row.is_empty };
}

async function writeSeed(
  tx: Transaction,
  account: AccountId,
  { sealed, sealedBy }: SealedSeed,
  onlyEmpty: boolean,
): Promise<boolean> {
  const rows = await tx.query(
    `insert into second_factor (account_id, sealed_seed, sealed_by) values ($1, $2, $3)
     on conflict (account_id) do update set sealed_seed = excluded.sealed_seed, sealed_by = excluded.sealed_by, enrolled_at = clock_timestamp()
       where second_factor.sealed_seed is null or not $4
     returning account_id`,
    [account, sealed, sealedBy, onlyEmpty],
  );
  return rows.length === 1;
}

async function declareSeed(
  tx: Transaction,
  account: AccountId,
  isNew: boolean,
  { sealed, sealedBy }: SealedSeed,
): Promise<void> {
  const facts = { account_id: account, sealed_seed: seedDigest(sealed), sealed_by: sealedBy };
  if (isNew) declareNew(tx, factorName(account), facts);
  else await declareChange(tx, [factorName(account)], facts);
}

/** Stores the seed of an account that has no factor. Returns false, and changes nothing, when the account has one. */
export async function insertSecondFactor(tx: Transaction, account: AccountId, seed: SealedSeed): Promise<boolean> {
  const before = await lockFactor(tx, account);
  if (before !== undefined && !before.isEmpty) return false;
  await declareSeed(tx, account, before === undefined, seed);
  return writeSeed(tx, account, seed, true);
}

/**
 * Stores a seed, whatever factor the account had before. It is for the accounts that a node makes for its self-test.
 */
export async function replaceSeed(tx: Transaction, account: AccountId, seed: SealedSeed): Promise<void> {
  await declareSeed(tx, account, (await lockFactor(tx, account)) === undefined, seed);
  await writeSeed(tx, account, seed, false);
}

/** Removes the seed of an account, whatever its row says. Codes that were used remain used. */
export async function endFactor(tx: Transaction, account: AccountId): Promise<void> {
  const empty = { account_id: account, sealed_seed: null, sealed_by: null };
  if ((await lockFactor(tx, account)) === undefined) declareNew(tx, factorName(account), empty);
  await declareEnd(tx, 'second-factor', [account], account);
  await tx.query(
    `insert into second_factor (account_id, sealed_seed, sealed_by, enrolled_at) values ($1, null, null, null)
     on conflict (account_id) do update set sealed_seed = null, sealed_by = null, enrolled_at = null`,
    [account],
  );
}

/**
 * Marks a time step as used. Returns true for the one caller, on whichever node, that takes this step first. Rows older
 * than ten minutes are deleted.
 */
export async function insertStep(tx: Transaction, account: AccountId, step: number): Promise<boolean> {
  const rows = await tx.query(
    'insert into totp_step (account_id, step) values ($1, $2) on conflict do nothing returning step',
    [account, step],
  );
  await tx.query(
    "delete from totp_step where account_id = $1 and used_at < clock_timestamp() - interval '10 minutes'",
    [account],
  );
  return rows.length === 1;
}

/**
 * Returns whether the record says that this step was used within the last 15 minutes. That is much longer than a code
 * can match.
 */
export async function isStepOnRecord(tx: Transaction, account: AccountId, step: number): Promise<boolean> {
  const rows = await tx.query(
    `select 1 from ledger_sealed where account_id = $1 and session_id is null and kind = 'second-factor.used'
       and at > statement_timestamp() - interval '15 minutes' and (sensitive ->> 'step')::bigint = $2
     union all select 1 from ledger_fresh where account_id = $1 and session_id is null and kind = 'second-factor.used'
       and (sensitive ->> 'step')::bigint = $2 limit 1`,
    [account, step],
  );
  return rows.length > 0;
}

const ticketName = (id: string): RowName => ({ kind: 'ticket', id });

/** Stores a ticket, which replaces all earlier ones of the account. Returns the time at which it expires. */
export async function insertTicket(
  tx: Transaction,
  t: {
    readonly id: string;
    readonly account: AccountId;
    readonly hash: Buffer;
    readonly issuedBy: string;
    readonly livesMs: number;
  },
): Promise<Date> {
  await endTickets(tx, t.account);
  declareNew(tx, ticketName(t.id), {
    account_id: t.account,
    ticket_hash: t.hash.toString('hex'),
    expires_at: fromNow(t.livesMs),
    used_at: null,
    failed_trials: 0,
  });
  const [row] = await tx.query<{ expires_at: Date }>(
    "insert into mfa_ticket (id, account_id, ticket_hash, issued_by, expires_at) values ($1, $2, $3, $4, clock_timestamp() + $5 * interval '1 millisecond') returning expires_at",
    [t.id, t.account, t.hash, t.issuedBy, t.livesMs],
  );
  return row?.expires_at ?? new Date(0);
}

/**
 * Ends all tickets of an account, whatever their rows say: a row of a ticket that was used or has expired might be
 * altered so that it looks open again. The rows are emptied, so that no secret is left that could match.
 */
export async function endTickets(tx: Transaction, account: AccountId): Promise<void> {
  const open = await tx.query<{ id: string }>(
    "select id from mfa_ticket where account_id = $1 and (ticket_hash is not null or used_at is not null or expires_at <> 'epoch') order by id for update",
    [account],
  );
  if (open.length === 0) return;
  const ids = open.map((one) => one.id);
  await declareEnd(tx, 'ticket', ids, account);
  await tx.query(
    "update mfa_ticket set ticket_hash = null, expires_at = 'epoch', used_at = null, failed_trials = 0 where id = any ($1::uuid[])",
    [ids],
  );
}

/** Marks this ticket as used, when it may still be used. Returns false when it may not. */
export async function useTicket(tx: Transaction, account: AccountId, ticket: string): Promise<boolean> {
  const [open] = await tx.query(
    `select 1 from mfa_ticket where id = $2 and account_id = $1 and ticket_hash is not null and used_at is null and expires_at > clock_timestamp() and failed_trials < 5 for update`,
    [account, ticket],
  );
  if (open === undefined) return false;
  await declareChange(tx, [ticketName(ticket)], { used_at: fromNow(0) });
  await tx.query('update mfa_ticket set used_at = clock_timestamp() where id = $1', [ticket]);
  return true;
}

/**
 * Counts one more wrong attempt with a ticket. The row is locked first, so that attempts at the same moment are counted
 * one after the other.
 */
export async function countTicketFailure(tx: Transaction, ticket: string): Promise<void> {
  const [row] = await tx.query<{ n: number }>('select failed_trials as n from mfa_ticket where id = $1 for update', [
    ticket,
  ]);
  if (row === undefined) return;
  await declareChange(tx, [ticketName(ticket)], { failed_trials: row.n + 1 });
  await tx.query('update mfa_ticket set failed_trials = $2 where id = $1', [ticket, row.n + 1]);
}
