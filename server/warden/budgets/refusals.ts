// Owns: what follows when a cap refuses: the alert with its facts and next command, the consequence that the budget
// names, and the text for the client.
// Must never: answer a refusal whose alert is not committed, or suspend the only credential of a customer
// automatically.
import { amountText } from '../../domain/budgets/amounts.ts';
import type { BudgetUnit, Consequence } from '../../domain/budgets/words.ts';
import { detach } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { CredentialId, CustomerId } from '../../domain/ids.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { bySession, record } from '../ledger/entries/record.ts';
import type { OpenSession } from '../sessions/open-session.ts';
import { lockCredential } from '../sessions/withdrawal-queries.ts';
import type { Refusal } from './charge-queries.ts';
import { findConsequence, hasOtherCredentials, suspendCredential } from './consequence-queries.ts';
import { refusalSentence, refusalText } from './refusal-text.ts';

/**
 * How long a refusal is remembered, in milliseconds. A client that asks again and again causes no more than one entry a
 * second.
 */
const rememberMs = 1000;
const rememberedMax = 10_000;
const alertEveryMs = 5000;
const endAfterMs = 250;
const units = ['bytes', 'items'] as const satisfies readonly BudgetUnit[];

type Amount = { readonly bytes: number; readonly items: number };
/**
 * What was asked for. `key` names the session and what it asked for. A remembered refusal answers a request with the
 * same key that asks for at least as much of the unit that was short.
 */
export type Asked = { readonly key: string; readonly amount: Amount };

export type RefusalDesk = {
  /** Returns the refusal that the same request met within the last second. */
  recall(asked: Asked): CofferdamError | undefined;
  /** Commits the alert and the consequence, and resolves to the error that the client is given. */
  settle(session: OpenSession, refusal: Refusal, asked: Asked): Promise<CofferdamError>;
  /** Raises the alert that the plane or the gateway is past its cap and slows down. */
  slowed(session: OpenSession, customer: CustomerId): Promise<void>;
};

type Given = {
  readonly database: Database;
  /** How long a credential may go unused before it is dormant and cannot be used, in milliseconds. */
  readonly dormantMs: number;
  readonly endSessions: (credential: CredentialId, reason: string) => Promise<unknown>;
  readonly onFault: (error: unknown) => void;
};

export function createRefusalDesk({ database, dormantMs, endSessions, onFault }: Given): RefusalDesk {
  const remembered = new Map<
    string,
    { readonly until: number; readonly error: CofferdamError; readonly amount: number }
  >();
  const raised = new Map<string, { at: number; missed: number }>();

  const keep = <V>(map: Map<string, V>, key: string, value: V): void => {
    map.delete(key);
    if (map.size >= rememberedMax) {
      const [oldest] = map.keys();
      if (oldest !== undefined) map.delete(oldest);
    }
    map.set(key, value);
  };
  /** Returns the number of refusals to count in an alert now; 0 when this one is counted with a later alert. */
  const due = (subject: string): number => {
    const before = raised.get(subject);
    if (before !== undefined && performance.now() - before.at < alertEveryMs) {
      before.missed += 1;
      return 0;
    }
    keep(raised, subject, { at: performance.now(), missed: 0 });
    return 1 + (before?.missed ?? 0);
  };

  /**
   * Runs `work` in a transaction. When it fails, the alert does not count as raised, so that the next refusal tries
   * again.
   */
  const committed = async <T>(subject: string, work: (tx: Transaction) => Promise<T>): Promise<T> => {
    try {
      return await database.withSystem(work);
    } catch (error) {
      raised.delete(subject);
      throw error;
    }
  };

  return {
    recall: ({ key, amount }) => {
      for (const unit of units) {
        const known = remembered.get(`${key}/${unit}`);
        if (known !== undefined && performance.now() < known.until && amount[unit] >= known.amount) return known.error;
      }
      return undefined;
    },

    settle: async (session, refusal, { key, amount }) => {
      const error = new CofferdamError('over-limit', refusalText(session.account.kind, refusal));
      const subject = `${refusal.budget}/${refusal.unit}/${refusal.window}/${session.credentialId}`;
      const count = due(subject);
      if (count > 0) {
        const isEnding = await committed(subject, async (tx) => {
          const consequence = await consequenceOf(tx, session, refusal, dormantMs);
          await raise(tx, session, refusal, subject, count, consequence);
          return consequence.isEnding;
        });
        // The sessions end a little later, so that the client can still read the reason. A suspended credential is
        // refused everything meanwhile.
        if (isEnding)
          setTimeout(() => detach(endSessions(session.credentialId, 'limit reached'), onFault), endAfterMs).unref();
      }
      keep(remembered, `${key}/${refusal.unit}`, {
        until: performance.now() + rememberMs,
        error,
        amount: amount[refusal.unit],
      });
      return error;
    },

    slowed: async (session, customer) => {
      const subject = `slow/${session.account.plane}`;
      const count = due(subject);
      if (count === 0) return;
      await committed(subject, (tx) =>
        insertAlert(tx, {
          kind: 'budget.slowed',
          severity: 'critical',
          subject: `plane ${session.account.plane}`,
          text: `the ${session.account.plane} plane or the whole gateway is past its cap and slows down`,
          facts: {
            plane: session.account.plane,
            lastAccount: session.account.name,
            lastCustomer: nameOf(session, customer),
          },
          nextCommand: 'cofferctl budget show --gateway',
          count,
        }),
      );
    },
  };
}

type Outcome = { readonly wanted: Consequence; readonly done: Consequence | 'spared'; readonly isEnding: boolean };
const nameOf = (session: OpenSession, customer: CustomerId): string =>
  session.customers.find((one) => one.id === customer)?.name ?? 'unknown';

async function consequenceOf(
  tx: Transaction,
  session: OpenSession,
  refusal: Refusal,
  dormantMs: number,
): Promise<Outcome> {
  const wanted = await findConsequence(tx, refusal.budget);
  if (wanted === 'refuse') return { wanted, done: wanted, isEnding: false };
  if (wanted === 'end-sessions') return { wanted, done: wanted, isEnding: true };
  await lockCredential(tx, session.credentialId);
  if (!(await hasOtherCredentials(tx, refusal.customer, session.credentialId, dormantMs)))
    return { wanted, done: 'spared', isEnding: true };
  await suspendCredential(tx, session.credentialId);
  await record(tx, {
    kind: 'credential.suspended',
    customer: refusal.customer,
    ...bySession(session),
    public: { why: 'limit reached' },
    sensitive: { credential: session.credentialId },
  });
  return { wanted, done: 'suspend', isEnding: true };
}

const words: Readonly<Record<Outcome['done'], string>> = {
  refuse: 'refused',
  'end-sessions': 'refused; all sessions of this credential were ended',
  suspend: 'refused; the credential was suspended and its sessions were ended',
  spared:
    'refused; its sessions were ended, but it is the only credential of this customer and stays usable: suspend it yourself if that is needed',
};

async function raise(
  tx: Transaction,
  session: OpenSession,
  refusal: Refusal,
  subject: string,
  count: number,
  outcome: Outcome,
): Promise<void> {
  const customer = nameOf(session, refusal.customer);
  const { account } = session;
  const of =
    refusal.scope === 'account'
      ? `account ${account.name}`
      : refusal.scope === 'customer'
        ? `customer ${customer}`
        : refusal.scope;
  await insertAlert(tx, {
    kind: 'budget.refused',
    severity: outcome.done === 'refuse' ? 'warning' : 'critical',
    subject,
    customer: refusal.customer,
    account: account.id,
    text: `${account.name} (customer ${customer}) met the ${refusal.window} cap of ${amountText(refusal.direction, refusal.unit, refusal.cap)} ${refusal.direction} of its ${of}: ${words[outcome.done]}`,
    facts: {
      account: account.name,
      customer,
      session: session.id,
      node: session.node,
      credential: session.credentialId,
      scope: refusal.scope,
      direction: refusal.direction,
      unit: refusal.unit,
      window: refusal.window,
      cap: refusal.cap,
      freeAt: refusal.freeAt?.toISOString() ?? null,
      consequence: outcome.done,
    },
    nextCommand: `cofferctl budget show --account ${account.name}${account.plane === 'internal' ? ` --customer ${customer}` : ''}`,
    contactText: `Your account ${account.name} was refused a transfer: ${refusalSentence(refusal)}.`,
    count,
  });
}
