// Owns: what an operator may ask about an incident: a part of the table in operator-admin.ts.
// Must never: carry content, or a key.
import { z } from 'zod';
import { accountName, fingerprint, instant, network, operation, reads, rule, text, uuid } from './operator-words.ts';

export const incidentParts = ['customers', 'files', 'listings', 'deposits', 'sessions', 'actions', 'reachable'] as const;
export type IncidentPart = (typeof incidentParts)[number];
const moment = z.iso.datetime();
const count = z.number();

const summary = z.strictObject({
  sessions: count,
  /** Of whom something was released, listed or deposited. */
  customers: count,
  /** Files: sent for certain; released, and perhaps sent; released, and not sent by the word of the edge. */
  certain: count,
  possible: count,
  unsent: count,
  /** The warden's upper bound, and the edge's word. */
  releasedBytes: count,
  sentBytes: count,
  names: count,
  deposits: count,
  actions: count,
  /** Files that could have been read, and were not. */
  reachable: count,
  refused: z.array(z.strictObject({ kind: z.string(), count })),
  checkpoint: z.string().nullable(),
  unwitnessedMs: count,
  frozen: z.string().nullable(),
  oldestMonth: z.string().nullable(),
  /** False: months that may matter are in archives. */
  isComplete: z.boolean(),
  tookMs: count,
});

export const operatorIncident = {
  /** Begins to work out whose files were exposed: everything that is named has to be true of it. */
  'incident.scope': rule(
    operation({
      changes: false,
      params: z
        .strictObject({
          credential: fingerprint.optional(),
          account: accountName.optional(),
          source: network.optional(),
          client: text(255).optional(),
          session: uuid.optional(),
          node: text(64).optional(),
          operator: accountName.optional(),
          since: moment.optional(),
          until: moment.optional(),
        })
        .refine((wish) => Object.values(wish).some((value) => value !== undefined), 'name at least one of them'),
      result: z.strictObject({ scope: uuid }),
    }),
    reads(),
  ),
  'incident.progress': rule(
    operation({
      changes: false,
      params: z.strictObject({ scope: uuid }),
      result: z.strictObject({ state: z.enum(['running', 'done', 'failed']), text: z.string(), summary: summary.nullable() }),
    }),
    reads(),
  ),
  /** Lines of JSON; `next` is null at the end. */
  'incident.page': rule(
    operation({
      changes: false,
      params: z.strictObject({ scope: uuid, part: z.enum(incidentParts), offset: z.number().int().min(0) }),
      result: z.strictObject({ lines: z.string(), next: z.number().nullable() }),
    }),
    reads(),
  ),
  /** The entries of one customer that a scope is about, with the proofs that they are in the record: pages of lines of a slice. */
  'incident.slice': rule(
    operation({
      changes: false,
      params: z.strictObject({ scope: uuid, customer: uuid, slice: uuid.optional(), offset: z.number().int().min(0) }),
      result: z.strictObject({ slice: uuid, lines: z.string(), next: z.number().nullable() }),
    }),
    reads(),
  ),
  /** Which of these occur in the record, at any time. */
  'incident.hunt': rule(
    operation({
      changes: false,
      params: z.strictObject({
        indicators: z
          .array(
            z.strictObject({
              type: z.enum(['address', 'network', 'fingerprint', 'client', 'sha256', 'account', 'certificate']),
              value: z.string().min(1).max(255),
            }),
          )
          .min(1)
          .max(200),
      }),
      result: z.strictObject({
        hits: z.array(
          z.strictObject({
            index: count,
            kind: z.string(),
            count,
            firstAt: instant,
            lastAt: instant,
            accounts: z.array(z.string()),
            customers: z.array(z.string()),
            sessions: z.array(z.string()),
          }),
        ),
      }),
    }),
    reads(),
  ),
} as const;

// The rows of a scope's parts, as they stand in the lines of a page.

/** What was exposed of one customer. */
export type IncidentCustomerRow = {
  readonly customer: string;
  readonly customerId: string;
  readonly certain: number;
  readonly possible: number;
  readonly unsent: number;
  readonly releasedBytes: number;
  readonly sentBytes: number;
  readonly listings: number;
  readonly names: number;
  readonly deposits: number;
  readonly reachable: number;
  readonly reachableBytes: number;
};

export type IncidentFileRow = {
  readonly customer: string;
  readonly customerId: string;
  readonly folder: string;
  readonly path: string;
  readonly version: string;
  readonly number: number | null;
  readonly sha256: string | null;
  readonly size: number | null;
  readonly depositedAt: string | null;
  readonly depositedBy: string | null;
  readonly extents: number;
  readonly extentCount: number | null;
  readonly releasedBytes: number;
  readonly sentBytes: number;
  readonly certainty: 'certain' | 'possible' | 'unsent';
  readonly firstAt: string;
  readonly lastAt: string;
  readonly sessions: number;
  /** What the catalogue says otherwise. */
  readonly differs: string | null;
};

export type IncidentListingRow = {
  readonly customer: string;
  readonly customerId: string;
  readonly folder: string;
  readonly path: string;
  /** Names told in all; the same name told twice counts twice. */
  readonly names: number;
  /** The most that one listing told. */
  readonly namesMost: number;
  readonly times: number;
  readonly firstAt: string;
  readonly lastAt: string;
};

export type IncidentDepositRow = {
  readonly customer: string;
  readonly customerId: string;
  readonly folder: string;
  readonly path: string;
  readonly version: string;
  readonly sha256: string | null;
  readonly size: number | null;
  /** complete, cut or open. */
  readonly outcome: string;
  readonly at: string;
  readonly session: string | null;
  readonly node: string | null;
};

export type IncidentSessionRow = {
  readonly session: string;
  readonly account: string | null;
  readonly customer: string | null;
  readonly plane: string | null;
  readonly node: string | null;
  readonly credential: string | null;
  readonly alsoCredential: string | null;
  readonly source: string | null;
  readonly sourcePort: number | null;
  readonly client: string | null;
  readonly algorithms: Readonly<Record<string, unknown>> | null;
  readonly openedAt: string | null;
  readonly endedAt: string | null;
  readonly endReason: string | null;
};

export type IncidentActionRow = {
  readonly number: number | null;
  readonly at: string;
  readonly kind: string;
  readonly customer: string | null;
  readonly account: string | null;
  readonly credential: string | null;
  readonly facts: Readonly<Record<string, unknown>>;
};

export type IncidentReachableRow = {
  readonly customer: string;
  readonly customerId: string;
  readonly folder: string;
  readonly path: string;
  readonly version: string;
  readonly sha256: string | null;
  readonly size: number;
  readonly publishedAt: string;
};
