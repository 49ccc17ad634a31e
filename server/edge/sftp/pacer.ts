// Owns: this session's share of the flow of its scopes. Bytes are sent when the warden has given a permit for them.
// Must never: send more than its permits allow, have more than one question
// for a permit under way, or reserve much more than is about to be sent.
import { held } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { SftpSession, WardenCalls } from '../seam/sftp-seam.ts';

/** The most that is asked for at once, in bytes. A scope with a rate grants less. */
const askBytesMax = 64 * 1024 * 1024;
/**
 * A pacer that asks again within this time is in the middle of a
 * long transfer, and asks for twice as much as before; milliseconds.
 */
const soonMs = 1000;

export class Pacer {
  readonly #session: SftpSession;
  readonly #warden: WardenCalls;
  readonly #customer: string;
  readonly #direction: 'out' | 'in';
  #allowance = 0;
  /** The number of bytes that wait for their turn. */
  #pending = 0;
  #lastAsk = Number.NEGATIVE_INFINITY;
  #lastBytes = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(session: SftpSession, warden: WardenCalls, customer: string, direction: 'out' | 'in') {
    this.#session = session;
    this.#warden = warden;
    this.#customer = customer;
    this.#direction = direction;
  }

  /** Resolves when `bytes` bytes may be sent, in the order of the calls. Rejects when the warden refuses the permit. */
  pass(bytes: number): Promise<void> {
    if (this.#pending === 0 && bytes <= this.#allowance) {
      this.#allowance -= bytes;
      return this.#turn;
    }
    this.#pending += bytes;
    const turn = this.#turn.then(() => this.#wait(bytes));
    this.#turn = held(turn.catch(() => {}));
    return turn;
  }

  async #wait(bytes: number): Promise<void> {
    try {
      while (this.#allowance < bytes) await this.#ask();
      this.#allowance -= bytes;
    } finally {
      this.#pending -= bytes;
    }
  }

  async #ask(): Promise<void> {
    const now = performance.now();
    const isLong = now - this.#lastAsk < soonMs;
    this.#lastBytes = Math.min(
      askBytesMax,
      Math.max(this.#pending - this.#allowance, isLong ? 2 * this.#lastBytes : 0),
    );
    this.#lastAsk = now;
    try {
      const permit = await this.#warden.callRepeatable('flow.permit', {
        token: this.#session.token,
        customer: this.#customer,
        direction: this.#direction,
        bytes: this.#lastBytes,
      });
      if (permit.waitMs > 0) await new Promise((resolve) => setTimeout(resolve, permit.waitMs));
      this.#allowance += permit.bytes;
    } catch (error) {
      // Bytes that were acknowledged before the session ended are still
      // sealed. An ended session has no share of a flow any more.
      if (this.#direction !== 'in' || !(error instanceof CofferdamError) || error.code !== 'session-ended') throw error;
      this.#allowance += this.#pending;
    }
  }
}

/** The pacers of one session: one for each customer and direction, shared by the handles of the session. */
export class Pacers {
  readonly #session: SftpSession;
  readonly #warden: WardenCalls;
  readonly #byName = new Map<string, Pacer>();

  constructor(session: SftpSession, warden: WardenCalls) {
    this.#session = session;
    this.#warden = warden;
  }

  get(customer: string, direction: 'out' | 'in'): Pacer {
    const name = `${customer}/${direction}`;
    const pacer = this.#byName.get(name) ?? new Pacer(this.#session, this.#warden, customer, direction);
    this.#byName.set(name, pacer);
    return pacer;
  }
}
