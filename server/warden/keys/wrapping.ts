// Owns: AES-256-GCM wrapping of small secrets: 12-byte random nonce ‖ ciphertext ‖ 16-byte tag, with the context as
// additional data.
// Must never: unwrap without checking the tag, or wrap without a context.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';

function contextBytes(context: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify(context), 'utf8');
}

/** Wraps `secret` under a 32-byte key and binds it to the context, an ordered list of strings. */
export function wrap(key: Buffer, secret: Buffer, context: readonly string[]): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  cipher.setAAD(contextBytes(context));
  return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
}

/** Unwraps a secret. Throws `corrupt` when the key, the context or any bit of the wrapped value is not what it was. */
export function unwrap(key: Buffer, wrapped: Buffer, context: readonly string[]): Buffer {
  if (wrapped.length < 28) throw new CofferdamError('corrupt', 'a wrapped secret is too short');
  const decipher = createDecipheriv('aes-256-gcm', key, wrapped.subarray(0, 12), { authTagLength: 16 });
  decipher.setAAD(contextBytes(context));
  decipher.setAuthTag(wrapped.subarray(wrapped.length - 16));
  try {
    return Buffer.concat([decipher.update(wrapped.subarray(12, wrapped.length - 16)), decipher.final()]);
  } catch (cause) {
    throw new CofferdamError('corrupt', 'a wrapped secret does not verify', { cause });
  }
}
