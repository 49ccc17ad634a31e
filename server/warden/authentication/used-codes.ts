// Owns: that a code counts once, wherever and whenever it is given (T-12): a row that only one login can write, the record behind it, and this process's memory.
// Must never: believe the row alone. Whoever owns the database can delete it, and hide an entry of the record while it is asked.
import type { AccountId, CustomerId, NodeName, Plane } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { alarmBroken } from '../changes/altered-rows.ts';
import type { KeyRing } from '../context.ts';
import { record } from '../ledger/ledger-queries.ts';
import { insertStep, isStepOnRecord } from './factor-queries.ts';

export type CodeUse = {
  readonly account: AccountId;
  readonly customer: CustomerId | null;
  readonly node: NodeName;
  readonly plane: Plane;
};

/** How long a code that counted is remembered: far longer than it can match. */
const rememberedMs = 10 * 60_000;

/** The codes that this process let count: no row of the database decides about them. */
export class CountedCodes {
  /** When each counted, by this process's clock, the oldest first. */
  readonly #at = new Map<string, number>();

  has(account: AccountId, step: number): boolean {
    return this.#at.has(`${account}/${step}`);
  }

  /** Called when its use is committed: a transaction that is undone, or done again, used up nothing. */
  learn({ account, step }: Counted): void {
    const now = performance.now();
    for (const [key, at] of this.#at) {
      if (at > now - rememberedMs) break;
      this.#at.delete(key);
    }
    this.#at.set(`${account}/${step}`, now);
  }
}

export type Counted = { readonly account: AccountId; readonly step: number };

const counted = new WeakMap<object, CountedCodes>();

/** One a process, wherever it holds its keys. */
export function countedCodesOf(keys: object): CountedCodes {
  const made = counted.get(keys) ?? new CountedCodes();
  counted.set(keys, made);
  return made;
}

/** True for the one use of this time step of the account's codes; its entry is written with it. */
export async function takeStep(tx: Transaction, keys: KeyRing, use: CodeUse, step: number): Promise<boolean> {
  if (!(await insertStep(tx, use.account, step))) return false;
  // After the row: whoever had it before has committed its entry, too.
  if (countedCodesOf(keys).has(use.account, step) || (await isStepOnRecord(tx, use.account, step))) {
    await alarmBroken(
      tx,
      { kind: 'used-code', id: use.account },
      'a code that was used was given again, though its row was gone, and refused',
    );
    return false;
  }
  await record(tx, { ...use, kind: 'second-factor.used', observer: 'warden', sensitive: { step } });
  return true;
}
