// Owns: what the tables of effects have in common: names of rows of the two banks (`two-banks.ts`) that come together
// wherever they come, and the columns by which an entry says whom it is about.

export const reason = 'a test';
/** The read handles of the session that reads. */
export const handles = ['handle on acme:once.1', 'handle on acme:twice.2', 'handle on acme:twice.3'];
/** The open sessions of the machine. */
export const ofBatch = ['acme-batch@both', 'acme-batch@night', 'acme-batch@reading', 'acme-batch@window'];
/** The open sessions of the bank. */
export const ofAcme = [...ofBatch, 'acme-clerk@clerk', 'acme-clerk@enrolment'];
/** The budgets of a new key or account of the bank. */
export const newBudgets = ['?/acme/in', '?/acme/list', '?/acme/out'];
/** What becomes of the row of a key that an operator revokes. */
export const revokedRow = { state: 'revoked', ended_at: 'now', ended_by: 'alice', ended_why: reason };

/** The columns of an entry about a customer, an account or a key: `acme`, `acme-batch`, or `acme-batch#1`. */
function columnsOf(whom: string): object {
  if (!whom.includes('-')) return { customer_id: whom };
  const account = whom.replace(/#.*/, '');
  const columns = { customer_id: account.slice(0, account.lastIndexOf('-')), account_id: account };
  return whom === account ? columns : { ...columns, credential: whom };
}

/** An entry without a reason. `more` are its other columns. */
export const bare = (
  kind: string,
  whom: string,
  sensitive: object,
  more: object = {},
): Readonly<Record<string, unknown>> => ({
  kind,
  ...columnsOf(whom),
  sensitive: whom.includes('#') ? { credential: `key ${whom}`, ...sensitive } : sensitive,
  ...more,
});
/** An entry with the reason that the operator gave. */
export const entry = (
  kind: string,
  whom: string,
  sensitive: object,
  more: object = {},
): Readonly<Record<string, unknown>> => bare(kind, whom, { reason, ...sensitive }, more);

/** The row of a new public key of the machine. */
export const newKey = (more: object = {}): object => ({
  id: '?',
  type: 'public-key',
  state: 'active',
  algorithm: 'ssh-ed25519',
  issued_by: 'both',
  account_id: 'acme-batch',
  created_at: 'now',
  expires_at: '+365d',
  public_key: 'bytes',
  valid_from: 'now',
  fingerprint: 'new key',
  issued_until: '+365d',
  ...more,
});
