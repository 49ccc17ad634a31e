// Owns: the share of this session in the flow of its scopes: bytes go when the warden has given a permit for them.
// Must never: run ahead of its permits, ask for more than one at a time, or reserve much more than it is about to send.
import { held } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { SftpSession, WardenCalls } from '../sftp-seam.ts';

/** The most that is asked for at once; a scope with a rate gives less. */
const askBytesMax = 64 * 1024 * 1024;
/** Who asks again so soon is in the middle of something long, and asks for twice as much. */
const soonMs = 1000;

export class Pacer {
  readonly #session: SftpSession;
  readonly #warden: WardenCalls;
  readonly #customer: string;
  readonly #direction: 'out' | 'in';
  #allowance = 0;
  /** Bytes that wait for their turn. */
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

  /** Resolves when `bytes` may go; in the order of the calls. */
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
    this.#lastBytes = Math.min(askBytesMax, Math.max(this.#pending - this.#allowance, isLong ? 2 * this.#lastBytes : 0));
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
      // What was acknowledged before the session ended is still sealed, and there is nobody any more whose share it could be.
      if (this.#direction !== 'in' || !(error instanceof CofferdamError) || error.code !== 'session-ended') throw error;
      this.#allowance += this.#pending;
    }
  }
}

/** One pacer per customer and direction of a session; its handles share it. */
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
