// Owns: the operations of operators on budgets, and what a credential could take now.
import { z } from 'zod';
import { budgetDirections, budgetWindows, capMax, consequences, scopeKinds } from '../../domain/budgets/words.ts';
import { accountName, fingerprint, instant, mayWiden, more, narrows, operation, reads, rule, text } from './words.ts';

const scopeParams = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('credential'), fingerprint }),
  /** Without a customer, the scope stands for every customer of the account. */
  z.strictObject({ kind: z.literal('account'), account: accountName, customer: accountName.optional() }),
  z.strictObject({ kind: z.literal('customer'), customer: accountName }),
  z.strictObject({ kind: z.literal('plane'), plane: z.enum(['partner', 'internal']) }),
  z.strictObject({ kind: z.literal('gateway') }),
]);
export type ScopeParams = z.infer<typeof scopeParams>;

/** A scope in the form that the database function find_budgets() takes. */
export type ScopeName = { readonly kind: string; readonly name: string | null; readonly customer: string | null };

export function scopeName(scope: ScopeParams): ScopeName {
  const { kind } = scope;
  switch (kind) {
    case 'credential':
      return { kind, name: scope.fingerprint, customer: null };
    case 'account':
      return { kind, name: scope.account, customer: scope.customer ?? null };
    case 'customer':
      return { kind, name: scope.customer, customer: null };
    case 'plane':
      return { kind, name: scope.plane, customer: null };
    case 'gateway':
      return { kind, name: null, customer: null };
  }
}
const cap = z.number().int().min(0).max(capMax);
const someCaps = z.strictObject({ hour: cap.optional(), day: cap.optional(), week: cap.optional() });
const use = z.strictObject({ used: z.number(), cap: z.number() });
const direction = z.enum(budgetDirections);
const window = z.enum(budgetWindows);
const budgetRow = z.strictObject({
  scope: z.enum(scopeKinds),
  label: z.string(),
  direction,
  /** The caps include released headroom. For the direction `list` the bytes have no meaning. */
  windows: z.array(z.strictObject({ window, bytes: use, items: use })),
  rate: z.number().nullable(),
  sessionsMax: z.number().nullable(),
  sessionsOpen: z.number().nullable(),
  ceilingPercent: z.number(),
  headroomPercent: z.number(),
  headroomUntil: instant.nullable(),
  isHeadroomSpent: z.boolean(),
  consequence: z.enum(consequences),
});

/** What to change in one direction of a scope. Fields that are absent keep their value. */
const budgetChange = z.strictObject({
  scope: scopeParams,
  direction,
  bytes: someCaps.optional(),
  items: someCaps.optional(),
  rate: z.number().int().min(1024).max(capMax).optional(),
  sessions: z.number().int().min(0).max(1_000_000).optional(),
  ceilingPercent: z.number().int().min(100).max(1000).optional(),
  headroomPercent: z.number().int().min(0).max(100).optional(),
  consequence: z.enum(consequences).optional(),
  reason: text(200),
});
export type BudgetChange = z.infer<typeof budgetChange>;

/** The number of rows that were changed, and the fields that became wider, in words. */
const changed = z.strictObject({ changed: z.number(), widened: z.array(z.string()) });

export const budgetOperations = {
  /** Without a scope: shows the gateway, the planes, and the customers that have used the largest part of their day. */
  'budget.show': rule(
    operation({
      changes: false,
      params: z.strictObject({ scope: scopeParams.optional() }),
      result: z.strictObject({ budgets: z.array(budgetRow), more }),
    }),
    reads(),
  ),
  'budget.history': rule(
    operation({
      changes: false,
      params: z.strictObject({ scope: scopeParams, direction, unit: z.enum(['bytes', 'items']), window }),
      result: z.strictObject({
        label: z.string(),
        cap: z.number(),
        used: z.number(),
        /**
         * The buckets of the window, the oldest first. `amount` is what was charged
         * in the bucket, and `since` what was charged since the window began.
         */
        buckets: z.array(z.strictObject({ from: instant, amount: z.number(), since: z.number() })),
      }),
    }),
    reads(),
  ),
  'budget.set': rule(operation({ changes: true, params: budgetChange, result: changed }), mayWiden),
  /** The same as `budget.set`, but refused when anything would become wider. */
  'budget.tighten': rule(operation({ changes: true, params: budgetChange, result: changed }), narrows),
  /** Releases headroom that was approved beforehand, once, for some hours. This raises an alert. */
  'budget.release': rule(
    operation({
      changes: true,
      params: z.strictObject({ scope: scopeParams, hours: z.number().int().min(1).max(24), reason: text(200) }),
      result: z.strictObject({ until: instant, percent: z.number() }),
    }),
    narrows,
  ),
  /** Shows what could be taken with this credential right now. */
  exposure: rule(
    operation({
      changes: false,
      params: z.strictObject({ credential: fingerprint }),
      result: z.strictObject({
        account: z.string(),
        kind: z.string(),
        plane: z.string(),
        /** Why nothing can be taken at all; null when something can. */
        blocked: z.string().nullable(),
        expiresAt: instant,
        openSessions: z.number(),
        customers: z.array(
          z.strictObject({
            customer: z.string(),
            /** The number of files that are published and readable with this credential. */
            files: z.number(),
            bytes: z.number(),
            /** The bytes that were charged within the last 24 hours, and can be read again without a charge. */
            paidBytes: z.number(),
            /**
             * For each window: the room that is left in all scopes of the credential. The smallest value applies now.
             */
            room: z.array(z.strictObject({ window, bytes: z.number(), files: z.number() })),
          }),
        ),
        more,
      }),
    }),
    reads(),
  ),
} as const;
