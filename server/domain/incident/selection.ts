// Owns: what an incident is asked by: who, with what, from where, when. Everything that is given must hold.
// Must never: pass for a question when only a time was given: that would be everybody.

export type Selection = {
  /** Fingerprint, as first or second proof. */
  readonly credential?: string | undefined;
  readonly account?: string | undefined;
  /** Network or address. */
  readonly source?: string | undefined;
  /** Part of the client's identification; case does not count. */
  readonly client?: string | undefined;
  readonly session?: string | undefined;
  readonly node?: string | undefined;
  readonly operator?: string | undefined;
  /** ISO 8601; an entry counts from `since` on and before `until`. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
};

const selectors = ['credential', 'account', 'source', 'client', 'session', 'node', 'operator'] as const;

/** Undefined: it can be asked. */
export function selectionFault(selection: Selection): string | undefined {
  if (selectors.every((name) => selection[name] === undefined)) return 'name whom it concerns, not only when';
  const { since, until } = selection;
  if (since !== undefined && until !== undefined && Date.parse(since) >= Date.parse(until)) return 'the end is not after the beginning';
  return undefined;
}

/** Failed logins name a credential, an account, an address, a client and a node; a question by anything else says nothing of them. */
export const concernsLogins = ({ session, operator }: Selection): boolean => session === undefined && operator === undefined;
/** Sessions are found by how they were opened; a node and a time alone look at every entry. */
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

/** Returns by what is asked, in words that name nobody: a customer may read them, and the name may be another customer's. */
export const kindOfSelection = (selection: Selection): string =>
  ['what was done', ...selectors.filter((name) => selection[name] !== undefined).map((name) => kinds[name])].join(' ');
