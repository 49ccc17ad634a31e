// Owns: the operator's signatures under proposals and approvals. They are made here, with a key that never leaves this
// machine.
// Must never: sign a text that was not built or shown here, or sign for an installation to which this identity does not
// belong.
import { createPrivateKey, createPublicKey, type KeyObject, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CofferdamError } from '../../server/domain/errors.ts';
import { documentHash, publicKeyFingerprint, type Signed, signDocument } from '../../server/rpc/change-document.ts';

const changeLifeMs = 24 * 3_600_000 - 60_000;

export type Wish = {
  readonly operation: string;
  readonly params: Record<string, unknown>;
  readonly reason: string;
  readonly breakGlass?: string | undefined;
};
export type Signer = {
  /** Signs a proposal by this operator. It is valid for one minute less than a day. */
  propose(as: string, installation: string, wish: Wish): Signed & { readonly change: string; readonly hash: string };
  /** Signs an approval of exactly the text with this hash. */
  approve(as: string, installation: string, change: string, hash: string): Signed;
};

/**
 * Returns the installation for which this identity was first used, and remembers it. Throws `denied` for any other
 * installation, because a signature is valid for one installation only.
 */
function pinned(directory: string, installation: string): string {
  const path = join(directory, 'installation');
  if (!existsSync(path)) {
    try {
      writeFileSync(path, `${installation}\n`, { mode: 0o600, flag: 'wx' });
    } catch (cause) {
      throw new CofferdamError(
        'configuration',
        `${path} cannot be written; it records the installation to which this identity belongs (${installation}). Nothing was signed`,
        { cause },
      );
    }
    return installation;
  }
  const known = readFileSync(path, 'utf8').trim();
  if (known !== installation)
    throw new CofferdamError(
      'denied',
      `this identity belongs to installation ${known}, and the admin process says it is ${installation}: nothing was signed. Was the gateway installed anew? Then remove ${path}`,
    );
  return known;
}

export function createSigner(directory: string, privateKey: Buffer): Signer {
  const key: KeyObject = createPrivateKey(privateKey);
  const fingerprint = publicKeyFingerprint(createPublicKey(key).export({ type: 'spki', format: 'der' }));
  return {
    propose(as, installation, { operation, params, reason, breakGlass }) {
      const now = Date.now();
      const change = randomUUID();
      const signed = signDocument(
        {
          type: 'cofferdam change/1',
          installation: pinned(directory, installation),
          change,
          operation,
          params,
          reason,
          proposer: as,
          key: fingerprint,
          proposedAt: new Date(now).toISOString(),
          expiresAt: new Date(now + changeLifeMs).toISOString(),
          ...(breakGlass === undefined ? {} : { breakGlass }),
        },
        key,
      );
      return { ...signed, change, hash: documentHash(signed.document) };
    },
    approve(as, installation, change, hash) {
      return signDocument(
        {
          type: 'cofferdam approval/1',
          installation: pinned(directory, installation),
          change,
          hash,
          approver: as,
          key: fingerprint,
          approvedAt: new Date().toISOString(),
        },
        key,
      );
    },
  };
}
