// Owns: the decision whether anything may be served, given the state of the record: open, or closed with a reason.
// Must never: be open before the record was compared with its witnesses, or after it was found to be behind them.
import { CofferdamError } from '../../domain/errors.ts';
import type { Freeze } from './seal-queries.ts';

type Closed = {
  readonly is: 'closed';
  /**
   * `unsure`: the record was not compared yet, or the database was unavailable since. `frozen`: a freeze stands.
   * `late`: for `witnessStopMs` an entry had no seal, a checkpoint was missing from a required witness, or the record
   * could not be looked at.
   */
  readonly why: 'unsure' | 'frozen' | 'late';
  readonly text: string;
};
type GuardState = { readonly is: 'open' } | Closed;

/** The heads log as this process has seen it. The database may hold more heads, never fewer. */
export type Known = {
  readonly era: number;
  readonly heads: number;
  /** The root of the heads log at the size `heads`, in base64. */
  readonly root: string;
  /** The server and the timeline of the database. */
  readonly identity: string;
  /** When that was seen, by the database's clock, in milliseconds since 1970. */
  readonly at: number;
};

const starting: Closed = { is: 'closed', why: 'unsure', text: 'the record is not compared with its witness yet' };

/** The guard of one warden. It starts closed, as `unsure`, and every operation that serves something asks it first. */
export class LedgerGuard {
  #state: GuardState = starting;
  #known: Known | undefined;
  #hasRoom = true;
  /** The freeze that this warden found itself and nobody released. */
  found: Freeze | undefined;

  get state(): GuardState {
    return this.#state;
  }

  get known(): Known | undefined {
    return this.#known;
  }

  learn(known: Known): void {
    this.#known = known;
  }

  open(): void {
    this.#state = { is: 'open' };
  }

  close(why: Closed['why'], text: string): void {
    this.#state = { is: 'closed', why, text };
  }

  /**
   * Throws `unavailable` unless the guard is open. Clients are told only that the service is not available; operators
   * find the reason in `status` and `doctor`.
   */
  require(): void {
    if (this.#state.is === 'closed')
      throw new CofferdamError('unavailable', 'the service is not available at the moment');
  }

  /** Sets whether more entries may be added to those that wait for a seal. */
  set hasRoom(hasRoom: boolean) {
    this.#hasRoom = hasRoom;
  }

  /**
   * Throws `unavailable` when too many entries wait for a seal. Operations that would add entries do not begin then.
   */
  requireRoom(): void {
    if (!this.#hasRoom) throw new CofferdamError('unavailable', 'the record is behind; try again in a moment');
  }

  /**
   * Checks a connection that was just made: it may lead to another server, or to an earlier state of the same one.
   * `known` is what this process knew before the connection was asked. Throws `unavailable` when the record on it must
   * be compared first.
   */
  admit(
    seen: { readonly identity: string; readonly era: number; readonly heads: number },
    known: Known | undefined,
  ): void {
    // While a freeze stands, every database is admitted, because the release arrives through it. Nothing is served
    // meanwhile.
    if (known === undefined || (this.#state.is === 'closed' && this.#state.why === 'frozen')) return;
    if (seen.identity === known.identity && seen.era === known.era && seen.heads >= known.heads) return;
    if (this.#state.is === 'open' || this.#state.why === 'late')
      this.close('unsure', 'the database is another one, or was set back: it is compared with the witness');
    throw new CofferdamError('unavailable', 'the database is compared with the witness of the record first');
  }
}
