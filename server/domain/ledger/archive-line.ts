// Owns: parsing one line of an archive of the record (docs/reference/ledger-format.md, "A dump"), with the fields that
// questions about an incident need.
// Must never: accept a line of another shape as an entry.

/** One entry. `at` is in microseconds since 1970; both texts are JSON as the database wrote it. */
export type ArchivedEntry = {
  readonly number: number;
  readonly at: number;
  readonly kind: string;
  readonly customer: string | null;
  readonly account: string | null;
  readonly session: string | null;
  readonly publicText: string;
  readonly credential: string | null;
  readonly alsoCredential: string | null;
  readonly source: string | null;
  readonly client: string | null;
  readonly operator: string | null;
  readonly sensitiveText: string;
};

const fields = 25;
const isText = (value: unknown): value is string => typeof value === 'string';
const isTextOrNull = (value: unknown): value is string | null => value === null || typeof value === 'string';
const isCount = (value: unknown): value is number => Number.isSafeInteger(value);

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Returns the entry of a line, or undefined when the line is no entry. */
export function parseArchiveLine(line: string): ArchivedEntry | undefined {
  const entry = (parsed(line) as { readonly entry?: unknown } | null | undefined)?.entry;
  if (!Array.isArray(entry) || entry.length !== fields) return undefined;
  const all: readonly unknown[] = entry;
  const [, , number, at, kind, , customer, account, session, , , , , , , publicText] = all;
  const [credential, alsoCredential, source, , client, operator, sensitiveText] = all.slice(16);
  const isWhole = isCount(number) && isCount(at) && isText(kind) && isText(publicText) && isText(sensitiveText);
  if (!isWhole || !isTextOrNull(customer) || !isTextOrNull(account) || !isTextOrNull(session)) return undefined;
  if (
    !isTextOrNull(credential) ||
    !isTextOrNull(alsoCredential) ||
    !isTextOrNull(source) ||
    !isTextOrNull(client) ||
    !isTextOrNull(operator)
  )
    return undefined;
  return {
    number,
    at,
    kind,
    customer,
    account,
    session,
    publicText,
    credential,
    alsoCredential,
    source,
    client,
    operator,
    sensitiveText,
  };
}
