// Owns: every operation that an operator may call in the admin process: its name, the
// least role, whether it changes anything, and whether it needs a second operator.
// Must never: contain an operation that returns the content of a file, or a secret of a customer.
// Calls of changing operations become rows of `command`. The warden validates the same parameters again and executes them.
import { z } from 'zod';
import { operatorAccess } from './operator-access.ts';
import { operatorBudgets } from './operator-budgets.ts';
import { operatorChanges } from './operator-changes.ts';
import { operatorCredentials } from './operator-credentials.ts';
import { operatorIncident } from './operator-incident.ts';
import { operatorLedger, verdictInShort } from './operator-ledger.ts';
import { operatorLedgerReading } from './operator-ledger-reading.ts';
import { operatorNodes } from './operator-nodes.ts';
import { operatorRetention } from './operator-retention.ts';
import {
  accountName,
  instant,
  listed,
  more,
  narrows,
  none,
  type OperatorRole,
  operation,
  operatorRoles,
  page,
  prepares,
  reads,
  rule,
  text,
  uuid,
  widens,
} from './operator-words.ts';

export { type OperatorRole, operatorRoles } from './operator-words.ts';

const customerRow = z.strictObject({
  id: uuid,
  name: z.string(),
  state: z.string(),
  accounts: z.number(),
  folders: z.number(),
  files: z.number(),
  createdAt: instant,
  /** The rows of the authentication policy that the customer allows; null when it allows all of them. */
  allowedProofs: z.array(z.string()).nullable(),
});
const folderRow = z.strictObject({
  name: z.string(),
  direction: z.string(),
  publishRule: z.string(),
  settleMs: z.number(),
  readBack: z.boolean(),
  windowDays: z.number().nullable(),
  readsMax: z.number().nullable(),
  retentionDays: z.number().nullable(),
  files: z.number(),
});
const accountRow = z.strictObject({
  name: z.string(),
  customer: z.string().nullable(),
  kind: z.string(),
  plane: z.string(),
  state: z.string(),
  secondFactor: z.boolean(),
  keys: z.number(),
  windowOpenUntil: instant.nullable(),
  lastUsedAt: instant.nullable(),
  manages: z.boolean(),
  readOnly: z.boolean(),
  networks: z.array(z.string()),
  expiresAt: instant.nullable(),
});
const fileRow = z.strictObject({
  version: uuid,
  customer: z.string(),
  folder: z.string(),
  path: z.string(),
  number: z.number(),
  state: z.string(),
  /** Why the version left the tree: window, reads, removed or operator. */
  withdrawnWhy: z.string().nullable(),
  size: z.number(),
  sha256: z.string().nullable(),
  account: z.string(),
  closedAt: instant.nullable(),
  publishedAt: instant.nullable(),
});
const sessionRow = z.strictObject({
  session: uuid,
  account: z.string(),
  customer: z.string().nullable(),
  node: z.string(),
  source: z.string(),
  client: z.string(),
  state: z.string(),
  startedAt: instant,
  lastSeenAt: instant,
  endedAt: instant.nullable(),
  endReason: z.string().nullable(),
});

export const operatorToAdmin = {
  whoami: rule(
    operation({ changes: false, params: none, result: z.strictObject({ operator: z.string(), role: z.enum(operatorRoles) }) }),
    reads(),
  ),
  status: rule(
    operation({
      changes: false,
      params: none,
      result: z.strictObject({
        nodes: z.array(
          z.strictObject({
            name: z.string(),
            plane: z.string(),
            lastSeenAt: instant.nullable(),
            alive: z.boolean(),
            sessions: z.number(),
            /** The time at which the node's drain ends. Until then it accepts no new sessions. null when the node serves. */
            drainingUntil: instant.nullable(),
          }),
        ),
        wardenAnswersMs: z.number().nullable(),
        /**
         * The state of the record: `frozen` is the reason when nothing is served, and `lateMs`
         * is for how long the record has waited for its seal or its witness, in milliseconds.
         */
        record: z.strictObject({
          entries: z.number(),
          frozen: z.string().nullable(),
          lateMs: z.number(),
          isStopped: z.boolean(),
          /** The number of months whose last attempt to be moved into an archive failed. */
          stuckMonths: z.number(),
          /** What the standing verification said last, and after its last run over everything; null: nothing yet. */
          verified: verdictInShort.nullable(),
          fullyVerified: verdictInShort.nullable(),
        }),
        /** The verdicts of the self-tests. `silentNodes` names the nodes that serve and do not report. */
        controls: z.array(
          z.strictObject({ node: z.string(), check: z.string(), bites: z.boolean(), text: z.string(), at: instant, since: instant }),
        ),
        silentNodes: z.array(z.string()),
        database: z.strictObject({ version: z.string(), sizeBytes: z.number() }),
        counts: z.strictObject({
          customers: z.number(),
          accounts: z.number(),
          openSessions: z.number(),
          publishedFiles: z.number(),
          partialUploads: z.number(),
        }),
      }),
    }),
    reads(),
  ),
  doctor: rule(
    operation({
      changes: false,
      params: none,
      result: z.strictObject({
        findings: z.array(
          z.strictObject({ check: z.string(), verdict: z.enum(['ok', 'warning', 'fault']), text: z.string(), next: z.string().nullable() }),
        ),
      }),
    }),
    reads(),
  ),
  'customer.create': rule(
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, reason: text(200) }),
      result: z.strictObject({ name: z.string(), folders: z.array(z.string()) }),
    }),
    prepares,
  ),
  /** Lists customers by name. `after` is the last name of the page before. */
  'customer.list': rule(
    operation({
      changes: false,
      params: page.extend({ after: accountName.optional() }),
      result: z.strictObject({ customers: z.array(customerRow), more }),
    }),
    reads(),
  ),
  'customer.show': rule(
    operation({
      changes: false,
      params: z.strictObject({ name: accountName }),
      result: z.strictObject({ customer: customerRow, folders: z.array(folderRow), accounts: z.array(accountRow) }),
    }),
    reads(),
  ),
  'customer.suspend': rule(
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, reason: text(200) }),
      result: z.strictObject({ sessionsEnded: z.number() }),
    }),
    narrows,
  ),
  'customer.resume': rule(
    operation({ changes: true, params: z.strictObject({ name: accountName, reason: text(200) }), result: none }),
    widens,
  ),
  'account.create': rule(
    operation({
      changes: true,
      params: z.discriminatedUnion('plane', [
        z.strictObject({
          plane: z.literal('partner'),
          name: accountName,
          customer: accountName,
          kind: z.enum(['person', 'machine']),
          contact: text(200).optional(),
          /**
           * True for a person who may open windows for the customer's
           * machine accounts, and manage their keys, over the console.
           */
          manages: z.boolean().optional(),
        }),
        z.strictObject({
          plane: z.literal('internal'),
          name: accountName,
          kind: z.enum(['person', 'machine']),
          contact: text(200).optional(),
          /** The customers in whose folders the account may work: it may read deposits and fill collect folders. */
          customers: z.array(accountName).min(1).max(500),
        }),
      ]),
      result: z.strictObject({ name: z.string() }),
    }),
    widens,
  ),
  'account.list': rule(
    operation({
      changes: false,
      params: z.strictObject({ customer: accountName.optional() }),
      result: z.strictObject({ accounts: z.array(accountRow), more }),
    }),
    reads(),
  ),
  'file.list': rule(
    operation({
      changes: false,
      params: z.strictObject({ customer: accountName, folder: text(255).optional(), limit: z.number().int().min(1).max(500).optional() }),
      result: z.strictObject({ files: z.array(fileRow), more }),
    }),
    reads(),
  ),
  /**
   * Returns the signed receipt of one version, selected by the version's id,
   * or by customer and path; the latter selects the newest closed version.
   */
  'file.receipt': rule(
    operation({
      changes: false,
      params: z.strictObject({ version: listed('file').optional(), customer: accountName.optional(), path: text(4096).optional() }),
      result: z.strictObject({ receipt: z.string(), publicKey: z.string() }),
    }),
    reads(),
  ),
  /**
   * Lists the keys with which receipts are signed, the newest
   * first. With them anybody can check a receipt that a bank shows.
   */
  'file.receipt-keys': rule(
    operation({
      changes: false,
      params: none,
      result: z.strictObject({ keys: z.array(z.strictObject({ id: z.string(), publicKey: z.string(), since: instant })) }),
    }),
    reads(),
  ),
  'session.list': rule(
    operation({
      changes: false,
      params: z.strictObject({ all: z.boolean().optional(), limit: z.number().int().min(1).max(500).optional() }),
      result: z.strictObject({ sessions: z.array(sessionRow), more }),
    }),
    reads(),
  ),
  'session.end': rule(
    operation({
      changes: true,
      params: z.strictObject({ session: listed('session'), reason: text(200) }),
      result: z.strictObject({ ended: z.boolean() }),
    }),
    narrows,
  ),
  /** Counts logins by key exchange method. Accounts that log in without a post-quantum method come first. */
  'report.key-exchange': rule(
    operation({
      changes: false,
      params: none,
      result: z.strictObject({
        accounts: z.array(
          z.strictObject({
            account: z.string(),
            customer: z.string().nullable(),
            withMlkem: z.number(),
            withoutMlkem: z.number(),
            lastWithoutAt: instant.nullable(),
            lastWithoutClient: z.string().nullable(),
          }),
        ),
        more,
      }),
    }),
    reads(),
  ),
  ...operatorChanges,
  ...operatorAccess,
  ...operatorCredentials,
  ...operatorBudgets,
  ...operatorRetention,
  ...operatorNodes,
  ...operatorLedger,
  ...operatorLedgerReading,
  ...operatorIncident,
  /** Answers at once, which shows that the warden accepts commands. */
  'warden.ping': rule(
    operation({
      changes: true,
      params: none,
      result: z.strictObject({
        receiptKey: z.string(),
        /** The lines of a known_hosts file, without the host. */
        hostKeys: z.array(z.string()),
      }),
    }),
    reads(),
  ),
} as const;

export type OperatorToAdmin = typeof operatorToAdmin;
export type OperatorOperation = keyof OperatorToAdmin;

/**
 * Returns whether an operator of role `has` may call an operation whose least
 * role is `needs`. Auditors may read what viewers may read, and nothing more.
 */
export function mayCall(has: string, needs: OperatorRole): boolean {
  const ranks: Readonly<Record<OperatorRole, number>> = { viewer: 0, auditor: 0, operator: 1, 'security-officer': 2 };
  return Object.hasOwn(ranks, has) && ranks[has as OperatorRole] >= ranks[needs];
}
