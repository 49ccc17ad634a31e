// Owns: the criteria that select what an incident report is about: who, with what, from where and when. All criteria
// that are given must hold.
// Must never: accept a selection that has only a time, because that would select everybody.

export type Selection = {
  /** The fingerprint of a credential that was the first or the second proof. */
  readonly credential?: string | undefined;
  readonly account?: string | undefined;
  /** A network or an address. */
  readonly source?: string | undefined;
  /** A part of the client's identification string, compared without regard to case. */
  readonly client?: string | undefined;
  readonly session?: string | undefined;
  readonly node?: string | undefined;
  readonly operator?: string | undefined;
  /** ISO 8601. Entries from `since` on, and before `until`, are included. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
};

const selectors = ['credential', 'account', 'source', 'client', 'session', 'node', 'operator'] as const;

/** Returns why a selection cannot be used, or undefined when it can. */
export function selectionFault(selection: Selection): string | undefined {
  if (selectors.every((name) => selection[name] === undefined)) return 'give at least one criterion besides the time';
  // A missing time is parsed to NaN, and every comparison with NaN is false.
  const { since, until } = selection;
  if (Date.parse(since ?? '') >= Date.parse(until ?? '')) return 'the end is not after the beginning';
  return undefined;
}

/**
 * Returns whether the selection can concern failed logins. Their entries name a credential, an account, an address, a
 * client and a node, but no session and no operator.
 */
export const concernsLogins = ({ session, operator }: Selection): boolean =>
  session === undefined && operator === undefined;
/**
 * Returns whether the selection is applied to sessions by how they were opened. A selection by node or time alone is
 * applied to every entry instead.
 */
export const choosesSessions = ({ credential, account, source, client, session, operator }: Selection): boolean =>
  [credential, account, source, client, session, operator].some((one) => one !== undefined);

const kinds: Readonly<Record<(typeof selectors)[number], string>> = {
  credential: 'with one credential',
  account: 'by one account',
  source: 'from one address or network',
  client: 'with one kind of client',
  session: 'in one session',
  node: 'on one edge',
  operator: 'by one operator and with what that operator touched',
};

/**
 * Returns by what is asked, in words that name nobody: a customer may read them, and the name may be another
 * customer's.
 */
export const kindOfSelection = (selection: Selection): string =>
  ['what was done', ...selectors.filter((name) => selection[name] !== undefined).map((name) => kinds[name])].join(' ');
