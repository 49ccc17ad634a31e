// Owns: the SQL of charging and pacing: the batched calls and the shapes of their answers.
import type {
  BudgetDirection,
  BudgetUnit,
  BudgetWindow,
  ChargeOutcome,
  ScopeKind,
} from '../../domain/budgets/words.ts';
import { scopeOfRank } from '../../domain/budgets/words.ts';
import {
  type ContentId,
  type CustomerId,
  type CustomerKeyId,
  idOf,
  type ObjectId,
  type SessionId,
} from '../../domain/ids.ts';
import type { Database } from '../../postgres/database.ts';
import { watchedCall } from '../../postgres/watched-call.ts';
import { type AskedBy, requireEntries } from './charge-entries.ts';

/** One extent of an open download. */
export type ChargedExtent = {
  readonly session: SessionId;
  readonly by?: AskedBy;
  readonly download: string;
  readonly index: number;
};
/**
 * What is to be charged: one extent of an open download, or an amount of bytes and items. `by`: who asks, which the
 * entry must name; without it the entry is believed about that.
 */
export type ChargeRequest =
  | ChargedExtent
  | {
      readonly session: SessionId;
      readonly by?: AskedBy;
      readonly customer: CustomerId;
      readonly direction: BudgetDirection;
      readonly bytes: number;
      readonly items: number;
    };
export type ReleasedExtent = {
  readonly customer: CustomerId;
  readonly content: ContentId;
  readonly object: ObjectId;
  readonly bytes: number;
  readonly sealedBytes: number;
  readonly inline: Buffer | null;
  readonly customerKey: CustomerKeyId;
  readonly wrappedKey: Buffer;
};
export type Refusal = {
  readonly outcome: 'over-limit';
  readonly budget: number;
  readonly scope: ScopeKind;
  readonly customer: CustomerId;
  readonly direction: BudgetDirection;
  readonly unit: BudgetUnit;
  readonly window: BudgetWindow;
  readonly cap: number;
  /** When there will be room again; null when there never will be, because the single item is larger than the cap. */
  readonly freeAt: Date | null;
};
export type ChargeAnswer =
  | {
      readonly outcome: 'granted' | 'repeat';
      readonly isSlow: boolean;
      readonly customer: CustomerId;
      readonly extent: ReleasedExtent | null;
    }
  | { readonly outcome: 'session' | 'missing' }
  | { readonly outcome: 'later'; readonly afterMs: number; readonly customer: CustomerId }
  | Refusal;

/** The columns in which a charge is answered, whatever it was charged for. */
export type RawCharge = {
  readonly outcome: ChargeOutcome;
  readonly budget: number | null;
  readonly rank: number;
  readonly unit: BudgetUnit | null;
  readonly window_name: BudgetWindow | null;
  readonly cap: number | null;
  readonly free_at: Date | null;
  readonly after_ms: number;
  readonly is_slow: boolean;
  readonly customer: string | null;
  /**
   * An entry that the batch wrote. The entries are spread over the rows; an entry need not concern the item of its row.
   */
  readonly entry: string | null;
};
/** The columns in which the charge of an extent is answered. */
export type RawExtentCharge = RawCharge & {
  readonly content: string | null;
  readonly object: string | null;
  readonly bytes: number | null;
  readonly sealed_bytes: number | null;
  readonly inline: Buffer | null;
  readonly customer_key: string | null;
  readonly wrapped_key: Buffer | null;
};

/** Returns what was released of an extent; null when nothing was. */
export function releasedExtent(row: RawExtentCharge): ReleasedExtent | null {
  const {
    customer,
    content,
    object,
    bytes,
    sealed_bytes: sealedBytes,
    customer_key: customerKey,
    wrapped_key: wrappedKey,
  } = row;
  if (customer === null || content === null || object === null || bytes === null || sealedBytes === null) return null;
  if (customerKey === null || wrappedKey === null) return null;
  return {
    customer: idOf<CustomerId>(customer),
    content: idOf<ContentId>(content),
    object: idOf<ObjectId>(object),
    bytes,
    sealedBytes,
    inline: row.inline,
    customerKey: idOf<CustomerKeyId>(customerKey),
    wrappedKey,
  };
}

/** Returns the answer about an amount or an extent; `extent` is what was released. */
export function chargeAnswer(
  row: RawCharge,
  direction: BudgetDirection,
  extent: ReleasedExtent | null = null,
): ChargeAnswer {
  const customer = idOf<CustomerId>(row.customer ?? '');
  switch (row.outcome) {
    case 'granted':
    case 'repeat':
      return { outcome: row.outcome, isSlow: row.is_slow, customer, extent };
    case 'later':
      return { outcome: 'later', afterMs: row.after_ms, customer };
    case 'over-limit':
      return {
        outcome: 'over-limit',
        budget: row.budget ?? 0,
        scope: scopeOfRank(row.rank),
        customer,
        direction,
        unit: row.unit ?? 'bytes',
        window: row.window_name ?? 'hour',
        cap: row.cap ?? 0,
        freeAt: row.free_at,
      };
    case 'session':
    case 'missing':
      return { outcome: row.outcome };
  }
}

const callBatch = (database: Database, items: readonly ChargeRequest[]): Promise<readonly RawExtentCharge[]> =>
  database.call<RawExtentCharge>(
    `select outcome, budget, rank, unit, window_name, cap, free_at, after_ms, is_slow, customer, content, object, bytes, sealed_bytes, inline, customer_key, wrapped_key,
       entry
     from charge_batch($1::uuid[], $2::uuid[], $3::int[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[], $8::uuid[]) order by item`,
    [
      items.map((one) => one.session),
      items.map((one) => ('download' in one ? one.download : null)),
      items.map((one) => ('download' in one ? one.index : null)),
      items.map((one) => ('download' in one ? (one.by?.customer ?? null) : one.customer)),
      items.map((one) => ('download' in one ? null : one.direction)),
      items.map((one) => ('download' in one ? null : one.bytes)),
      items.map((one) => ('download' in one ? null : one.items)),
      items.map((one) => ('download' in one ? (one.by?.version ?? null) : null)),
    ],
  );

/**
 * Charges a batch. Returns one answer for each item, in their order, and resolves after the commit. Throws
 * `unavailable` when the entries that it wrote are not those that the answers call for; nothing of it is released then.
 */
export const callChargeBatch = (
  database: Database,
  items: readonly ChargeRequest[],
): Promise<readonly ChargeAnswer[]> =>
  watchedCall(database, async (watch) => {
    const rows = await callBatch(database, items);
    requireEntries(items, rows, watch);
    return rows.map((row, i) => {
      const item = items[i];
      return chargeAnswer(row, item === undefined || 'download' in item ? 'out' : item.direction, releasedExtent(row));
    });
  });

/**
 * Charges the last bytes of a session that ended within the grace period. Returns whether they were charged to all of
 * its scopes, and resolves after the commit.
 */
export async function callChargeEnding(
  database: Database,
  ending: {
    readonly session: SessionId;
    readonly customer: CustomerId;
    readonly bytes: number;
    readonly graceMs: number;
  },
): Promise<boolean> {
  const { session, customer, bytes, graceMs } = ending;
  const [row] = await database.call<{ charged: boolean }>('select charge_ending($1, $2, $3, $4) as charged', [
    session,
    customer,
    bytes,
    graceMs,
  ]);
  return row?.charged === true;
}

export type PaceRequest = {
  readonly session: SessionId;
  readonly customer: CustomerId;
  readonly direction: 'out' | 'in';
  readonly bytes: number;
};
/**
 * Permission to send `bytes` bytes after `waitMs` milliseconds. With 0 bytes nothing may be sent; ask again after that
 * time.
 */
export type Permit = { readonly bytes: number; readonly waitMs: number };

export async function callPace(database: Database, items: readonly PaceRequest[]): Promise<readonly Permit[]> {
  const rows = await database.call<{ bytes: number; wait_ms: number }>(
    'select bytes, wait_ms from pace($1::uuid[], $2::uuid[], $3::text[], $4::bigint[]) order by item',
    [
      items.map((one) => one.session),
      items.map((one) => one.customer),
      items.map((one) => one.direction),
      items.map((one) => one.bytes),
    ],
  );
  return rows.map((row) => ({ bytes: row.bytes, waitMs: row.wait_ms }));
}
