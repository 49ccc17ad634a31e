// Owns: seeds, enrolment addresses, and the time steps to which a code belongs. It is the only importer of `otplib`.
// Must never: decide that a code is good. A time step counts once, and only the database can say whether it was used
// (T-12).
import { randomBytes } from 'node:crypto';
import { createGuardrails, generateSync, generateURI } from 'otplib';

const stepSeconds = 30;
const digits = 6;
const guardrails = createGuardrails();
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Returns a new seed of 20 random bytes (RFC 4226 section 4, R6). */
export function newSeed(): Buffer {
  return randomBytes(20);
}

export function seedToBase32(seed: Buffer): string {
  let bits = 0;
  let value = 0;
  let text = '';
  for (const byte of seed) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(value >> bits) & 31] ?? '';
    }
  }
  return bits === 0 ? text : text + (alphabet[(value << (5 - bits)) & 31] ?? '');
}

export function enrolmentUri(account: string, seed: Buffer): string {
  return generateURI({
    strategy: 'totp',
    issuer: 'Cofferdam',
    label: account,
    secret: seedToBase32(seed),
    algorithm: 'sha1',
    digits,
    period: stepSeconds,
  });
}

export const stepAt = (nowSeconds: number): number => Math.floor(nowSeconds / stepSeconds);
export const stepEndsInMs = (nowSeconds: number): number =>
  Math.ceil((stepAt(nowSeconds) + 1) * stepSeconds * 1000 - nowSeconds * 1000);

/**
 * Returns the first of the current and the next time step that is not among `used`; undefined when both are used. Its
 * code remains acceptable for at least one more whole step, so a pause may pass before it counts.
 */
export function lastingStep(used: readonly number[], nowSeconds: number): number | undefined {
  const current = stepAt(nowSeconds);
  return [current, current + 1].find((step) => !used.includes(step));
}

/** Returns the code of one time step (RFC 6238). */
export function codeAt(seed: Buffer, step: number): string {
  return generateSync({
    strategy: 'totp',
    secret: seed,
    epoch: step * stepSeconds,
    algorithm: 'sha1',
    digits,
    period: stepSeconds,
    guardrails,
  });
}

/**
 * Returns the time steps within ±1 of `nowSeconds` to which `code` belongs, the current one first; usually none or one
 * (RFC 6238).
 */
export function matchingSteps(seed: Buffer, code: string, nowSeconds: number): readonly number[] {
  const current = stepAt(nowSeconds);
  const given = Buffer.from(code.replace(/\s/g, ''), 'utf8');
  return [current, current - 1, current + 1].filter((step) => {
    const expected = Buffer.from(codeAt(seed, step), 'utf8');
    let difference = expected.length ^ given.length;
    for (let i = 0; i < expected.length; i += 1) difference |= (expected[i] ?? 0) ^ (given[i] ?? 0);
    return difference === 0;
  });
}
