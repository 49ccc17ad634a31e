// Owns: the share of this session in the flow of its scopes: bytes go when the warden has given a permit for them.
// Must never: run ahead of its permits, or ask for more than one at a time.
import type { SftpSession, WardenCalls } from '../sftp-seam.ts';

/** Asked for at once; a scope with a rate gives less. */
const askBytes = 64 * 1024 * 1024;

export class Pacer {
  readonly #session: SftpSession;
  readonly #warden: WardenCalls;
  readonly #customer: string;
  readonly #direction: 'out' | 'in';
  #allowance = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(session: SftpSession, warden: WardenCalls, customer: string, direction: 'out' | 'in') {
    this.#session = session;
    this.#warden = warden;
    this.#customer = customer;
    this.#direction = direction;
  }

  /** Resolves when `bytes` may go; in the order of the calls. */
  pass(bytes: number): Promise<void> {
    if (bytes <= this.#allowance) {
      this.#allowance -= bytes;
      return this.#turn;
    }
    const turn = this.#turn.then(() => this.#wait(bytes));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #wait(bytes: number): Promise<void> {
    while (this.#allowance < bytes) {
      const permit = await this.#warden.callRepeatable('flow.permit', {
        token: this.#session.token,
        customer: this.#customer,
        direction: this.#direction,
        bytes: askBytes,
      });
      if (permit.waitMs > 0) await new Promise((resolve) => setTimeout(resolve, permit.waitMs));
      this.#allowance += permit.bytes;
    }
    this.#allowance -= bytes;
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
