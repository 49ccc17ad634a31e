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
