// Owns: the order in which every call that one end of a stream serves is handled: first the
// caller gets a place, then the parameters are validated, then the work is done (T-35, T-38).
// Must never: let the parameters of a call be read, or an error about a wrong form be sent, without counting it for a
// caller.
import { fullPurse, takeOne } from '../domain/allowance.ts';
import type { Claim } from '../domain/share.ts';
import type { Slots } from './slots.ts';

/** A call as it arrived. Nobody has looked at `params` yet. */
export type Call = { readonly op: string; readonly params: unknown };

export type Door<Caller> = {
  /**
   * Takes a place for this call and runs `serve` once in that place, as this caller. `serve` reads the parameters
   * and does the work. Throws the refusal when there is no place; the peer then pauses reading from the caller.
   */
  within(call: Call, serve: (caller: Caller) => Promise<unknown>): Promise<unknown>;
  /**
   * Counts one more message of a wrong form; `what` describes it. Returns false when
   * the sender has used up the number that it may send, and the connection must end.
   */
  mayErr(what: string): boolean;
};

const faultMs = 60_000;

/** Takes one place among `faults` for this claim, for one minute. Returns false when there is none left. */
export function takeFault(faults: Slots, claim: Claim): boolean {
  try {
    setTimeout(faults.take(claim), faultMs).unref();
    return true;
  } catch {
    return false;
  }
}

const own = { atOnce: 10, perMinute: 10 } as const;

/**
 * Returns a door for an end whose other side shares its resources with nobody. Every call
 * is served at once, and the connection has an allowance of wrong messages of its own.
 */
export function ownDoor<Caller>(caller: Caller): Door<Caller> {
  const purse = fullPurse(own, performance.now());
  return { within: (_call, serve) => serve(caller), mayErr: () => takeOne(purse, own, performance.now()) };
}
