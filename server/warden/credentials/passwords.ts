// Owns: the hashing of passwords, with a few at the same time and a bounded number waiting. It is the only importer of
// `@node-rs/argon2`.
// Must never: let a missing password be told from a wrong one by its cost (T-19).
import { createHash } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';
import type { Claim } from '../../domain/share.ts';
import type { Slots } from '../../rpc/slots.ts';

/** Argon2id with 64 MiB and three passes: the second recommended option of RFC 9106 section 4, with one lane. */
const parameters = { algorithm: 2, memoryCost: 65_536, timeCost: 3, parallelism: 1, outputLen: 32 } as const;

/**
 * The hash of a text that was thrown away, made with the parameters above. It is verified when no hash is stored, so
 * that every guess costs the same.
 */
export const nobodys =
  '$argon2id$v=19$m=65536,t=3,p=1$H9+Y+Ikt6x1r/fnAacEuhA$DgFJoXHyEjxAJ6kFdKav+43VSszAGUvwKUFNm1Tr1vg';

/**
 * The form of a password, `name-secret`: eight characters by which the row is found, then 32 (160 bits) that nobody can
 * guess. Base32, lower case.
 */
const form = /^([a-z2-7]{8})-([a-z2-7]{32})$/;

/**
 * Returns the name of the credential that a given password belongs to. A password of another form yields a name that
 * nobody has.
 */
export function passwordName(password: string): string {
  return `password:${form.exec(password)?.[1] ?? 'aaaaaaaa'}`;
}

const digest = (password: string): string => createHash('sha256').update(password).digest('hex');

/**
 * Returns the Argon2id hash of a password, given its SHA-256 in hexadecimal. It is for operators' commands, of which at
 * most two run at a time (one change and one plan), and does not use the queue of logins.
 */
export const hashPassword = (passwordDigest: string): Promise<string> => hash(passwordDigest, parameters);

export class PasswordHashing {
  readonly #slots: Slots;

  constructor(slots: Slots) {
    this.#slots = slots;
  }

  /**
   * Returns whether `password` matches `stored`, a hash as a PHC string; undefined `stored` means that there is none,
   * and the answer is then false. Planes and nodes take turns; passwords from known sources (`isKnown`) go first.
   * Returns undefined when the queue was full or the wait in it took too long; nobody examined the password then.
   */
  async verify(
    stored: string | undefined,
    password: string,
    isKnown: boolean,
    claim: Claim,
  ): Promise<boolean | undefined> {
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
