// Owns: what a login may rely on, as said by the rows that were verified in the transaction that opens its session.
// Must never: allow more than the login found before. What it found then was read from rows that the owner of the
// database may have changed for a moment.
import { areBound } from '../../domain/addresses.ts';
import type { AccountId, AccountKind, CredentialId, Plane } from '../../domain/ids.ts';
import {
  type AttemptOrigin,
  type LoginAccepted,
  type LoginFacts,
  type LoginState,
  stillOpens,
} from '../../domain/login-machine.ts';
import { narrowed, type Restrictions, unrestricted } from '../../domain/restrictions.ts';
import { factsOfRow, type VerifiedRows } from '../seals/seals.ts';

type AccountRow = {
  readonly customer_id: string | null;
  readonly kind: AccountKind;
  readonly plane: Plane;
  readonly read_only: boolean;
  readonly source_networks: readonly string[];
  readonly expires_at: number | null;
};
type CredentialRow = {
  readonly account_id: string;
  readonly fingerprint: string;
  readonly password_hash: string | null;
  readonly read_only: boolean;
  readonly source_networks: readonly string[];
  readonly issued_until: number;
};
type WindowRow = { readonly account_id: string; readonly closes_at?: number; readonly valid_until?: number };
type FactorRow = { readonly sealed_seed: string | null };
type TicketRow = {
  readonly account_id: string;
  readonly ticket_hash: string;
  readonly expires_at: number;
  readonly used_at: number | null;
};

/** What the client showed, and what was accepted as proof earlier in the login. */
type Shown = {
  readonly account: AccountId;
  readonly credentials: readonly CredentialId[];
  /** The name under which each credential was proved: the fingerprint of a key, or the name of a password. */
  readonly names: ReadonlyMap<CredentialId, string>;
  /** The stored hash against which a password was verified. */
  readonly passwordHash: string | null;
  /** The digest of the sealed seed against which a code was verified. */
  readonly seed: string | null;
  readonly window: string | null;
  readonly ticket: { readonly id: string; readonly hash: Buffer } | null;
};

const millis = (micros: number | null | undefined): number | null => (micros == null ? null : micros / 1000);
const boundBy = (networks: readonly string[]): readonly (readonly string[])[] =>
  networks.length === 0 ? [] : [networks];

/**
 * Returns what each credential allows and the account's facts, by the verified rows. Returns undefined when the
 * verified rows contradict what was shown.
 */
function verifiedLogin(
  rows: VerifiedRows,
  shown: Shown,
  seen: LoginFacts,
  now: number,
): { readonly facts: LoginFacts; readonly credentials: readonly Restrictions[] } | undefined {
  const account = factsOfRow<AccountRow>(rows, { kind: 'account', id: shown.account });
  if (account === undefined) return undefined;
  const credentials: Restrictions[] = [];
  for (const id of shown.credentials) {
    const row = factsOfRow<CredentialRow>(rows, { kind: 'credential', id });
    if (row === undefined || row.account_id !== shown.account || shown.names.get(id) !== row.fingerprint)
      return undefined;
    if (row.password_hash !== null && row.password_hash !== shown.passwordHash) return undefined;
    credentials.push({
      ...unrestricted,
      networks: boundBy(row.source_networks),
      readOnly: row.read_only,
      until: millis(row.issued_until),
    });
  }
  const ticket = shown.ticket && factsOfRow<TicketRow>(rows, { kind: 'ticket', id: shown.ticket.id });
  if (
    shown.ticket !== null &&
    (ticket?.account_id !== shown.account || ticket.ticket_hash !== shown.ticket.hash.toString('hex'))
  )
    return undefined;
  const isTicketGood = ticket != null && ticket.used_at === null && ticket.expires_at / 1000 > now;
  const factor = factsOfRow<FactorRow>(rows, { kind: 'second-factor', id: shown.account })?.sealed_seed ?? null;
  const window = shown.window === null ? undefined : windowOf(rows, shown.window);
  if (shown.window !== null && window?.account_id !== shown.account) return undefined;
  const customer = account.customer_id;
  const policy =
    customer === null
      ? undefined
      : factsOfRow<{ readonly allowed_proofs: readonly string[] | null }>(rows, { kind: 'customer', id: customer });
  if (customer !== null && policy === undefined) return undefined;
  const until = millis(window?.closes_at ?? window?.valid_until);
  return {
    credentials,
    facts: {
      ...seen,
      kind: account.kind,
      allowed: policy?.allowed_proofs ?? null,
      hasNetworks: areBound(account.source_networks),
      hasSecondFactor: factor !== null && factor === shown.seed,
      canEnrol: factor === null && isTicketGood,
      windowUntil: seen.windowUntil === null || until === null ? seen.windowUntil : Math.min(seen.windowUntil, until),
      restrictions: narrowed(seen.restrictions, {
        networks: boundBy(account.source_networks),
        planes: [account.plane],
        readOnly: account.read_only,
        until: millis(account.expires_at),
      }),
    },
  };
}

const windowOf = (rows: VerifiedRows, id: string): WindowRow | undefined =>
  factsOfRow<WindowRow>(rows, { kind: 'window', id }) ?? factsOfRow<WindowRow>(rows, { kind: 'standing-window', id });

/**
 * Decides the login once more, by the verified rows, because the rows that it saw before may have stood in the database
 * for a moment only. Returns undefined when it would not open.
 */
export function opensByVerified(
  rows: VerifiedRows,
  state: LoginState,
  shown: Shown,
  seen: LoginFacts | null,
  origin: AttemptOrigin,
): LoginAccepted | undefined {
  const verified = seen === null ? undefined : verifiedLogin(rows, shown, seen, origin.now);
  return verified && stillOpens(state, verified.credentials, verified.facts, origin);
}
