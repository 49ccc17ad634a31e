// Owns: what an operator may ask about an incident: whose files could have been read, and where an indicator occurs. A part of the table in operator-admin.ts.
// Must never: carry content, or a key.
import { z } from 'zod';
import { certainties } from '../domain/incident/certainty.ts';
import { indicatorTypes } from '../domain/incident/indicators.ts';
import { selectionFault } from '../domain/incident/selection.ts';
import { accountName, fingerprint, instant, listed, moment, network, operation, reads, rule, text, uuid } from './operator-words.ts';

const count = z.number();
const nullableText = z.string().nullable();
const nodeName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'a node looks like partner-1, see `cofferctl status`');

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

/** One version whose keys left. `released` is the warden's upper bound, `sent` the edge's word. */
const fileRow = z.strictObject({
  /** Name, or the id when the catalogue has none. */
  customer: nullableText,
  customerId: z.string().nullable(),
  folder: nullableText,
  /** Within the folder. */
  path: nullableText,
  version: z.string().nullable(),
  sha256: nullableText,
  size: count.nullable(),
  deposited: instant.nullable(),
  extents: count.nullable(),
  releasedExtents: count,
  releasedBytes: count,
  /** Of these, extents whose key left only to hash a resumed upload. */
  verifiedExtents: count,
  sentBytes: count,
  certainty: z.enum(certainties),
  handles: count,
  first: instant,
  last: instant,
  /** Of the catalogue today; null: it does not have this version. */
  state: nullableText,
  /** What the catalogue says otherwise than the record: sha256, size, path. The record's is shown. */
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
  /** closed, interrupted, given-up, expired, or opened: no end is known. */
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
  /** As it was opened: proofs, purpose, algorithms. null: the entry is not in the database any more. */
  opened: z.record(z.string(), z.unknown()).nullable(),
  start: instant.nullable(),
  end: instant.nullable(),
  reason: nullableText,
  /** The edge's word. */
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
  /** null: not sealed yet. */
  number: count.nullable(),
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
  /** Could have been read, and was not. */
  unread: count,
  unreadBytes: count,
});

/** The parts of an answer, in which order they are found, and the rows of each. */
export const incidentParts = {
  sessions: sessionRow,
  actions: actionRow,
  files: fileRow,
  names: nameRow,
  deposits: depositRow,
  unread: unreadRow,
  customers: customerRow,
} as const;
export type IncidentPart = keyof typeof incidentParts;
export type IncidentRow<P extends IncidentPart> = z.infer<(typeof incidentParts)[P]>;
const partNames = Object.keys(incidentParts) as IncidentPart[];

const recordState = z.strictObject({
  checkpoint: nullableText,
  checkpointAt: instant.nullable(),
  /** Entries that have no seal yet count as well. */
  unsealed: count,
  unwitnessedMs: count,
  /** Why nothing is served, or null. */
  frozen: nullableText,
  /** The answer begins here: what is older is in archives. null: the database has everything that was asked for. */
  completeFrom: instant.nullable(),
});
export type RecordState = z.infer<typeof recordState>;

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
  /** Logins of the selection that opened nothing; strangers: with names that nobody has. */
  refusedLogins: count,
  partialLogins: count,
  refusedSessions: count,
  strangerLogins: count,
  /** Files whose catalogue row is missing, or differs from the record. */
  unknownVersions: count,
  differing: count,
});
const summary = z.strictObject({
  record: recordState,
  totals,
  /** Accounts of the selection: those who could have read. */
  accounts: z.array(z.string()),
  accountsMore: z.boolean(),
  /** The list of what was not read was asked for. */
  hasUnread: z.boolean(),
  tookMs: count,
});
export type IncidentSummary = z.infer<typeof summary>;

const hits = z.strictObject({
  /** Of the list that was sent, from 0. */
  index: count,
  hits: count,
  first: instant.nullable(),
  last: instant.nullable(),
  sessions: count,
  accounts: z.array(z.string()),
  customers: z.array(z.string()),
  kinds: z.array(z.strictObject({ kind: z.string(), count })),
  /** The lists of names were cut. */
  more: z.boolean(),
});
export type IndicatorHits = z.infer<typeof hits>;
/** Names of accounts, and of customers, that are shown of one indicator. */
export const namesShownMax = 20;

export const indicatorsPerCallMax = 250;

export const namesPerCallMax = 250;
const named = z.array(z.strictObject({ id: uuid, name: z.string() }));

export const operatorIncident = {
  /** Starts looking; the answer is asked for with what comes back. */
  'incident.scope': rule(
    operation({
      changes: false,
      params: z.strictObject({ selection, unread: z.boolean().optional() }),
      result: z.strictObject({ scope: uuid }),
    }),
    reads(),
  ),
  /** Answers when it is done or has failed, at the latest after `waitMs`. */
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
  /** Rows of one part, as JSON of the shapes above; `offset` is 0 or what the page before gave as `next`. */
  'incident.page': rule(
    operation({
      changes: false,
      params: z.strictObject({
        scope: uuid,
        part: z.enum(partNames),
        /** Only of this customer; an empty text: of none. */
        customerId: z.string().max(36).optional(),
        offset: z.number().int().min(0).optional(),
      }),
      result: z.strictObject({ rows: z.array(z.unknown()), next: count.nullable() }),
    }),
    reads(),
  ),
  /**
   * Lines of a slice (docs/reference/ledger-format.md): every sealed entry of one customer between two epochs of the record, and which of them an answer is
   * about. The first call makes it, and may be answered with `conflict` when part of it is in archives, or newer than the newest epoch: `ledger.begin-epoch`.
   */
  'incident.slice': rule(
    operation({
      changes: false,
      params: z.strictObject({ scope: uuid, customerId: uuid, offset: z.number().int().min(0).optional() }),
      result: z.strictObject({ rows: z.array(z.unknown()), next: count.nullable() }),
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
      /** Those that occur; `more`: this answer holds no more, ask again from the index behind the last one. */
      result: z.strictObject({ found: z.array(hits), completeFrom: instant.nullable(), more: z.boolean() }),
    }),
    reads(),
  ),
  /** What entries in archives do not say: names of these ids, and ids of accounts of these names. Who is not there is left out. */
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
