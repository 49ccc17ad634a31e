// Owns: the only importer of `@node-rs/argon2`: hashing of passwords, a few at once, a bounded number waiting.
// Must never: tell a missing password from a wrong one by its cost (T-19).
import { createHash } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';
import type { Claim } from '../../domain/share.ts';
import type { Slots } from '../../rpc/slots.ts';

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

/** Of the SHA-256 (hexadecimal) of a password. For operators' commands, which run one at a time whatever logins do. */
export const hashPassword = (passwordDigest: string): Promise<string> => hash(passwordDigest, parameters);

export class PasswordHashing {
  readonly #slots: Slots;

  constructor(slots: Slots) {
    this.#slots = slots;
  }

  /**
   * Whether `password` belongs to `stored` (PHC string); undefined = there is none. By turns among planes and nodes; where logins succeeded
   * before (`isKnown`), they go first. undefined: there was no place in the line, and nobody looked at it.
   */
  async verify(stored: string | undefined, password: string, isKnown: boolean, claim: Claim): Promise<boolean | undefined> {
    const release = await this.#slots.acquire(claim, isKnown).catch(() => undefined);
    if (release === undefined) return undefined;
    try {
      const isRight = await verify(stored ?? nobodys, digest(password));
      return isRight && stored !== undefined;
    } finally {
      release();
    }
  }

  get waiting(): number {
    return this.#slots.waiting;
  }
}
