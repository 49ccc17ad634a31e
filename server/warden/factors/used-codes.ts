// Owns: the rule that a code counts once, wherever and whenever it is given (T-12). It is kept by a row that only one
// login can write, by the record, and by the memory of this process.
// Must never: believe the row alone. The owner of the database can delete it, and can hide an entry of the record while
// it is read.
import type { AccountId, CustomerId, NodeName, Plane } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { record } from '../ledger/entries/record.ts';
import { alarmBroken } from '../seals/altered-rows.ts';
import { insertStep, isStepOnRecord } from './factor-queries.ts';

export type CodeUse = {
  readonly account: AccountId;
  readonly customer: CustomerId | null;
  readonly node: NodeName;
  readonly plane: Plane;
};

/** How long a code that counted is remembered, in milliseconds. That is far longer than a code can match. */
const rememberedMs = 10 * 60_000;

/** The codes that this process has accepted. No row of the database can change them. */
class CountedCodes {
  /** When each code counted, by this process's clock, the oldest first. */
  readonly #at = new Map<string, number>();

  has(account: AccountId, step: number): boolean {
    return this.#at.has(`${account}/${step}`);
  }

  /**
   * Remembers a code. It is called after its use was committed, because a transaction that is undone or repeated has
   * used up nothing.
   */
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

/** Returns the codes that the process with these keys has accepted; there is one such value for each key ring. */
export function countedCodesOf(keys: object): CountedCodes {
  const made = counted.get(keys) ?? new CountedCodes();
  counted.set(keys, made);
  return made;
}

/**
 * Takes the time step of an account's code. Returns true for its one use, and then writes its entry in the same
 * transaction.
 */
export async function takeStep(tx: Transaction, keys: KeyRing, use: CodeUse, step: number): Promise<boolean> {
  if (!(await insertStep(tx, use.account, step))) return false;
  // The record is asked after the row was written: a transaction that had written the row before has ended by now, and
  // its entry can be seen.
  if (countedCodesOf(keys).has(use.account, step) || (await isStepOnRecord(tx, use.account, step))) {
    await alarmBroken(
      tx,
      { kind: 'used-code', id: use.account },
      'a used code was presented again and refused; the row that marks it as used had been deleted',
    );
    return false;
  }
  await record(tx, { ...use, kind: 'second-factor.used', observer: 'warden', sensitive: { step } });
  return true;
}
