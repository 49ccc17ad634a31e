// Owns: the only importer of `@node-rs/argon2`: hashing of passwords, a few at once, a bounded number waiting.
// Must never: tell a missing password from a wrong one by its cost (T-19).
import { createHash } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';
import type { Limits } from '../../config/config.ts';

/** Argon2id, 64 MiB, three passes: the second recommended option of RFC 9106 section 4, with one lane. */
const parameters = { algorithm: 2, memoryCost: 65_536, timeCost: 3, parallelism: 1, outputLen: 32 } as const;

/** Of a text that was thrown away, with the parameters above: verified when there is no other, so that every guess costs the same. */
export const nobodys = '$argon2id$v=19$m=65536,t=3,p=1$H9+Y+Ikt6x1r/fnAacEuhA$DgFJoXHyEjxAJ6kFdKav+43VSszAGUvwKUFNm1Tr1vg';

/** `name-secret`: eight letters that find the row, then 32 (160 bits) that nobody guesses. Base32, lower case. */
const form = /^([a-z2-7]{8})-([a-z2-7]{32})$/;

/** The credential's name in a given password; a name that nobody has when the form is another. */
export function passwordName(password: string): string {
  return `password:${form.exec(password)?.[1] ?? 'aaaaaaaa'}`;
}

const digest = (password: string): string => createHash('sha256').update(password).digest('hex');

type Waiting = { readonly run: () => void; readonly isKnown: boolean };

export class PasswordHashing {
  readonly #limits: Pick<Limits, 'passwordHashesMax' | 'passwordHashesWaitingMax'>;
  readonly #waiting: Waiting[] = [];
  #running = 0;

  constructor(limits: Pick<Limits, 'passwordHashesMax' | 'passwordHashesWaitingMax'>) {
    this.#limits = limits;
  }

  /** Of the SHA-256 (hexadecimal) of a password. Waits its turn; never turned away. */
  async hash(passwordDigest: string): Promise<string> {
    await this.#turn(true, Number.POSITIVE_INFINITY);
    try {
      return await hash(passwordDigest, parameters);
    } finally {
      this.#next();
    }
  }

  /**
   * Whether `password` belongs to `stored` (PHC string); undefined = there is none. Where logins succeeded before (`isKnown`), they go
   * first; what finds no place in the queue is refused as a wrong one is.
   */
  async verify(stored: string | undefined, password: string, isKnown: boolean): Promise<boolean> {
    if (!(await this.#turn(isKnown, this.#limits.passwordHashesWaitingMax))) return false;
    try {
      const isRight = await verify(stored ?? nobodys, digest(password));
      return isRight && stored !== undefined;
    } finally {
      this.#next();
    }
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  async #turn(isKnown: boolean, waitingMax: number): Promise<boolean> {
    if (this.#running < Math.max(1, this.#limits.passwordHashesMax)) {
      this.#running += 1;
      return true;
    }
    if (this.#waiting.filter((one) => one.isKnown === isKnown).length >= waitingMax) return false;
    await new Promise<void>((resolve) => this.#waiting.push({ run: resolve, isKnown }));
    return true;
  }

  #next(): void {
    const known = this.#waiting.findIndex((one) => one.isKnown);
    const [next] = this.#waiting.splice(Math.max(known, 0), 1);
    if (next === undefined) this.#running -= 1;
    else next.run();
  }
}
