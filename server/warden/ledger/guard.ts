// Owns: whether anything may be served, by what is known of the record: open, or closed with the reason.
// Must never: be open before the record was compared with its witness, or after it was seen to be behind.
import { CofferdamError } from '../../domain/errors.ts';

export type Closed = {
  readonly is: 'closed';
  /** `unsure`: it was not compared yet, or the database was away meanwhile. `late`: no witness has what was sealed. */
  readonly why: 'unsure' | 'frozen' | 'late';
  readonly text: string;
};
export type GuardState = { readonly is: 'open' } | Closed;

/** What this process has seen of the heads log: the database may have more, never less. */
export type Known = {
  readonly era: number;
  readonly heads: number;
  /** Of the heads log at that size, base64. */
  readonly root: string;
  /** Server and timeline of the database. */
  readonly identity: string;
};

const starting: Closed = { is: 'closed', why: 'unsure', text: 'the record is not compared with its witness yet' };

export class LedgerGuard {
  #state: GuardState = starting;
  #known: Known | undefined;
  #hasRoom = true;

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

  /** Throws `unavailable` unless the record is in order. Clients hear that the service is away; operators find the reason in status and doctor. */
  require(): void {
    if (this.#state.is === 'closed') throw new CofferdamError('unavailable', 'the service is not available at the moment');
  }

  /** Whether more may be added to what waits for its seal. */
  set hasRoom(hasRoom: boolean) {
    this.#hasRoom = hasRoom;
  }

  /** Throws `unavailable` when too much waits for its seal: what would add to it does not begin. */
  requireRoom(): void {
    if (!this.#hasRoom) throw new CofferdamError('unavailable', 'the record is behind; try again in a moment');
  }

  /** Of a connection that was just made: it may lead to another server, or to a past of the same one. `known`: before it was asked. */
  admit(seen: { readonly identity: string; readonly era: number; readonly heads: number }, known: Known | undefined): void {
    // By this database the release comes, whatever it holds; meanwhile nothing is served.
    if (known === undefined || (this.#state.is === 'closed' && this.#state.why === 'frozen')) return;
    if (seen.identity === known.identity && seen.era === known.era && seen.heads >= known.heads) return;
    if (this.#state.is === 'open' || this.#state.why === 'late')
      this.close('unsure', 'the database is another one, or was set back: it is compared with the witness');
    throw new CofferdamError('unavailable', 'the database is compared with the witness of the record first');
  }
}
