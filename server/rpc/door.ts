// Owns: the way in of every call that one end of a stream serves: first a place of whoever called, then the form of what he says, then the work (T-35, T-38).
// Must never: let anything of a call be read, or anything of a wrong form be answered, that counts as nobody's.
import { fullPurse, takeOne } from '../domain/allowance.ts';
import type { Claim } from '../domain/share.ts';
import type { Slots } from './slots.ts';

/** `params`: as they came; nobody has looked at them. */
export type Call = { readonly op: string; readonly params: unknown };

export type Door<Caller> = {
  /**
   * Takes a place for this call and runs `serve` in it, once, as this caller: it reads the parameters, and does the work. What is thrown before that is the
   * refusal of a place, and whoever gets one is not read for a moment.
   */
  within(call: Call, serve: (caller: Caller) => Promise<unknown>): Promise<unknown>;
  /** One more message of a wrong form, in words. False: the sender has had all that he may have of them, and his connection ends. */
  mayErr(what: string): boolean;
};

const faultMs = 60_000;

/** Takes one of a line of faults for this holder, for a minute. False: there is none left. */
export function takeFault(faults: Slots, claim: Claim): boolean {
  try {
    setTimeout(faults.take(claim), faultMs).unref();
    return true;
  } catch {
    return false;
  }
}

const own = { atOnce: 10, perMinute: 10 } as const;

/** Where the other side shares what it uses with nobody: every call has its place, and the connection a number of faults of its own. */
export function ownDoor<Caller>(caller: Caller): Door<Caller> {
  const purse = fullPurse(own, performance.now());
  return { within: (_call, serve) => serve(caller), mayErr: () => takeOne(purse, own, performance.now()) };
}
