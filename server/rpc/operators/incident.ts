// Owns: the operations that an operator may call about an incident: whose files could have
// been read, and where an indicator occurs. They are a part of the table in table.ts.
// Must never: carry content, or a key.
import { z } from 'zod';
import { certainties } from '../../domain/incident/certainty.ts';
import { indicatorTypes } from '../../domain/incident/indicators.ts';
import { selectionFault } from '../../domain/incident/selection.ts';
import {
  accountName,
  fingerprint,
  instant,
  listed,
  moment,
  network,
  operation,
  reads,
  rule,
  text,
  uuid,
} from './words.ts';

const count = z.number();
const nullableText = z.string().nullable();
const nodeName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'a node looks like partner-1, see `cofferctl status`');

const selection = z
  .strictObject({
    credential: fingerprint.optional(),
    account: accountName.optional(),
    source: network.optional(),
    client: text(255).optional(),
    session: listed('session').optional(),
    node: nodeName.optional(),
    operator: accountName.optional(),
    since: moment.optional(),
    until: moment.optional(),
  })
  .check((given) => {
    const fault = selectionFault(given.value);
    if (fault !== undefined) given.issues.push({ code: 'custom', message: fault, input: given.value });
  });

/**
 * One version whose keys left the warden. `releasedBytes` is the
 * warden's upper bound; `sentBytes` is what the edge reports.
 */
const fileRow = z.strictObject({
  /** The name of the customer, or its id when the catalogue has no name for it. */
  customer: nullableText,
  customerId: z.string().nullable(),
  folder: nullableText,
  /** The path within the folder. */
  path: nullableText,
  version: z.string().nullable(),
  sha256: nullableText,
  size: count.nullable(),
  deposited: instant.nullable(),
  extents: count.nullable(),
  releasedExtents: count,
  releasedBytes: count,
  /** The number of released extents whose key left only so that a resumed upload could be hashed. */
  verifiedExtents: count,
  sentBytes: count,
  certainty: z.enum(certainties),
  handles: count,
  first: instant,
  last: instant,
  /** The state in the catalogue today; null when the catalogue does not have this version. */
  state: nullableText,
  /**
   * The fields in which the catalogue differs from the record: sha256, size. The values shown are those of the record.
   */
  differs: z.array(z.string()),
});
const nameRow = z.strictObject({
  customer: nullableText,
  customerId: nullableText,
  folder: nullableText,
  path: nullableText,
  names: count,
  times: count,
  first: instant,
  last: instant,
});
const depositRow = z.strictObject({
  customer: nullableText,
  customerId: nullableText,
  folder: nullableText,
  path: nullableText,
  version: nullableText,
  sha256: nullableText,
  size: count.nullable(),
  /** One of closed, interrupted, given-up, expired and opened; `opened` means that no end is known. */
  state: z.string(),
  uploads: count,
  first: instant,
  last: instant,
});
const sessionRow = z.strictObject({
  session: z.string(),
  account: nullableText,
  customer: nullableText,
  node: nullableText,
  plane: nullableText,
  credential: nullableText,
  alsoCredential: nullableText,
  source: nullableText,
  sourcePort: count.nullable(),
  client: nullableText,
  /**
   * How the session was opened: proofs, purpose and algorithms. null when the entry is not in the database any more.
   */
  opened: z.record(z.string(), z.unknown()).nullable(),
  start: instant.nullable(),
  end: instant.nullable(),
  reason: nullableText,
  /** The number of bytes that the edge reports. */
  bytesIn: count.nullable(),
  bytesOut: count.nullable(),
});
const actionRow = z.strictObject({
  at: instant,
  kind: z.string(),
  operator: z.string(),
  account: nullableText,
  customer: nullableText,
  credential: nullableText,
  /** null when the entry is not sealed yet. */
  number: count.nullable(),
  facts: z.record(z.string(), z.unknown()),
});

/**
 * An entry of no session that belongs to the selection: a failed login, what the operator in question did. Public
 * fields only.
 */
const traceRow = z.strictObject({
  customer: nullableText,
  customerId: nullableText,
  at: instant,
  kind: z.string(),
  account: nullableText,
  facts: z.record(z.string(), z.unknown()),
});
const unreadRow = z.strictObject({
  customer: nullableText,
  customerId: nullableText,
  folder: nullableText,
  path: nullableText,
  version: z.string(),
  sha256: nullableText,
  size: count,
  published: instant,
  withdrawn: instant.nullable(),
  state: z.string(),
});
const customerRow = z.strictObject({
  customer: nullableText,
  customerId: nullableText,
  certain: count,
  possible: count,
  unsent: count,
  releasedBytes: count,
  sentBytes: count,
  names: count,
  deposits: count,
  depositBytes: count,
  /** The number of files that could have been read and were not. */
  unread: count,
  unreadBytes: count,
  /** The number of logins of this customer's accounts that opened no session. */
  failedLogins: count,
  /** The number of entries of this customer that belong to the selection. */
  entries: count,
});

/** The parts of an answer, in the order in which they are found, and the rows of each. */
export const incidentParts = {
  sessions: sessionRow,
  actions: actionRow,
  files: fileRow,
  names: nameRow,
  deposits: depositRow,
  unread: unreadRow,
  traces: traceRow,
  customers: customerRow,
} as const;
export type IncidentPart = keyof typeof incidentParts;
export type IncidentRow<P extends IncidentPart> = z.infer<(typeof incidentParts)[P]>;
const partNames = Object.keys(incidentParts) as IncidentPart[];

const recordState = z.strictObject({
  checkpoint: nullableText,
  checkpointAt: instant.nullable(),
  /** The number of entries that have no seal yet. They count in the answer as well. */
  unsealed: count,
  unwitnessedMs: count,
  /** Why nothing is served; null when the record is not frozen. */
  frozen: nullableText,
  /**
   * The time at which the answer begins, because what is older is in
   * archives. null when the database has everything that was asked for.
   */
  completeFrom: instant.nullable(),
});
export type RecordState = z.infer<typeof recordState>;

const provedHead = z.strictObject({ position: count, text: z.string(), proof: z.array(z.string()) });
/**
 * What an answer was proved by: every entry that it can rest on was hashed, in the snapshot in which it was found, and
 * led to what this head commits to.
 */
const proved = z.strictObject({
  /** The number of entries that were hashed, and of all trees. */
  entries: count,
  trees: count,
  /** The number of entries that are in archives, and were not looked at. */
  archived: count,
  /** The newest head, a witnessed checkpoint that covers it, and the way from it to the checkpoint (base64). */
  checkpoint: z.string(),
  head: provedHead,
  /** The head after which the entries were proved; null: from the first one on. */
  from: provedHead.nullable(),
  tookMs: count,
});
export type ProvedRecord = z.infer<typeof proved>;

const totals = z.strictObject({
  customers: count,
  certain: count,
  possible: count,
  unsent: count,
  releasedBytes: count,
  sentBytes: count,
  names: count,
  deposits: count,
  depositBytes: count,
  sessions: count,
  actions: count,
  unread: count,
  unreadBytes: count,
  /** Logins within the selection that opened nothing. `strangerLogins` are those with names that no account has. */
  refusedLogins: count,
  partialLogins: count,
  refusedSessions: count,
  strangerLogins: count,
  failedLogins: count,
  /** The number of entries that belong to the selection, those of no customer included. */
  entries: count,
  /**
   * The number of these entries that state a count in a form in which no warden writes one: what they count is unknown.
   */
  oddEntries: count,
  /** Files whose row in the catalogue is missing, and those whose row differs from the record. */
  unknownVersions: count,
  differing: count,
});
const summary = z.strictObject({
  record: recordState,
  /** null: the answer is believed, and not proved. Nobody is told anything by it. */
  proved: proved.nullable(),
  totals,
  /** The accounts of the selection, which could have read the files. */
  accounts: z.array(z.string()),
  accountsMore: z.boolean(),
  /** The window that was looked at. It ends when the answer was asked for, also when a later time was given. */
  window: z.strictObject({ since: z.string().nullable(), until: z.string() }),
  /** True when nothing was found at all: no session, no failed login, no action, no other entry. */
  isEmpty: z.boolean(),
  /** The selectors of an empty answer that occur nowhere in the record or the catalogue. */
  unknown: z.array(z.string()),
  /** True when the list of files that were not read was asked for. */
  hasUnread: z.boolean(),
  tookMs: count,
});
export type IncidentSummary = z.infer<typeof summary>;

const hits = z.strictObject({
  /** The index in the list of indicators that was sent, from 0. */
  index: count,
  hits: count,
  first: instant.nullable(),
  last: instant.nullable(),
  sessions: count,
  accounts: z.array(z.string()),
  customers: z.array(z.string()),
  kinds: z.array(z.strictObject({ kind: z.string(), count })),
  /** True when the lists of names were cut. */
  more: z.boolean(),
});
export type IndicatorHits = z.infer<typeof hits>;

/** The largest number of names of accounts, and of customers, that are shown for one indicator. */
export const namesShownMax = 20;

export const indicatorsPerCallMax = 250;

export const namesPerCallMax = 250;
const named = z.array(z.strictObject({ id: uuid, name: z.string() }));

export const incidentOperations = {
  /** Begins to look for the answer. The result names it for the operations below. */
  'incident.scope': rule(
    operation({
      changes: false,
      /** With `proved` the answer is also proved, which takes longer. Slices are made of such an answer only. */
      params: z.strictObject({ selection, unread: z.boolean().optional(), proved: z.boolean().optional() }),
      result: z.strictObject({ scope: uuid }),
    }),
    reads(),
  ),
  /** Returns when the work is done or has failed, at the latest after `waitMs` milliseconds. */
  'incident.progress': rule(
    operation({
      changes: false,
      params: z.strictObject({ scope: uuid, waitMs: z.number().int().min(0).max(20_000).optional() }),
      result: z.discriminatedUnion('state', [
        z.strictObject({ state: z.literal('running'), step: z.string(), rows: count }),
        z.strictObject({ state: z.literal('failed'), code: z.string(), text: z.string() }),
        z.strictObject({ state: z.literal('done'), summary, rows: z.partialRecord(z.enum(partNames), count) }),
      ]),
    }),
    reads(),
  ),
  /** Returns rows of one part, as JSON of the shapes above. `offset` is 0, or the `next` of the page before. */
  'incident.page': rule(
    operation({
      changes: false,
      params: z.strictObject({
        scope: uuid,
        part: z.enum(partNames),
        /** Only rows of this customer. An empty text selects rows that belong to no customer. */
        customerId: z.string().max(36).optional(),
        offset: z.number().int().min(0).optional(),
      }),
      result: z.strictObject({ rows: z.array(z.unknown()), next: count.nullable() }),
    }),
    reads(),
  ),
  /**
   * Returns lines of a slice (docs/reference/ledger-format.md): every sealed entry of one
   * customer between two epochs of the record, and which of them the answer is about. The
   * first call creates the slice. It is answered with `conflict` when the answer was not proved, when a part of it
   * is in archives, or is newer than the newest epoch; in the latter case call `ledger.begin-epoch`.
   */
  'incident.slice': rule(
    operation({
      changes: false,
      params: z.strictObject({ scope: uuid, customerId: uuid, offset: z.number().int().min(0).optional() }),
      result: z.strictObject({ rows: z.array(z.unknown()), next: count.nullable() }),
    }),
    reads(),
  ),
  /**
   * Returns the sealed entry by which this customer got its name, when it was created or when it was renamed last, and
   * its audit path in the customer's tree of that size: the root is in the slice. null when it cannot be proved from
   * the database.
   */
  'incident.named-by': rule(
    operation({
      changes: false,
      params: z.strictObject({ customerId: uuid, size: z.number().int().min(1) }),
      result: z.strictObject({
        proof: z
          .strictObject({
            shown: z.array(z.unknown()),
            salt: z.string(),
            sensitive: z.string(),
            path: z.array(z.string()),
          })
          .nullable(),
      }),
    }),
    reads(),
  ),
  'incident.hunt': rule(
    operation({
      changes: false,
      params: z.strictObject({
        indicators: z
          .array(z.strictObject({ type: z.enum(indicatorTypes), value: text(255) }))
          .min(1)
          .max(indicatorsPerCallMax),
      }),
      /**
       * The indicators that occur. `more` is true when the answer
       * holds no more; ask again from the index after the last one.
       */
      result: z.strictObject({ found: z.array(hits), completeFrom: instant.nullable(), more: z.boolean() }),
    }),
    reads(),
  ),
  /**
   * Returns what entries in archives do not contain: the names of these ids, and the
   * ids of the accounts with these names. Ids and names that do not exist are left out.
   */
  'incident.names': rule(
    operation({
      changes: false,
      params: z.strictObject({
        accounts: z.array(uuid).max(namesPerCallMax),
        customers: z.array(uuid).max(namesPerCallMax),
        accountNames: z.array(accountName).max(namesPerCallMax),
      }),
      result: z.strictObject({ accounts: named, customers: named }),
    }),
    reads(),
  ),
} as const;
