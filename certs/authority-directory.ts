// Owns: an authority on disk: its certificate, key, index and revocation list in a directory that only its keeper can
// read, and the rules for issuing and revoking.
// Must never: return a certificate that is not in the index yet, or let two commands write at the same time.
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CofferdamError } from '../server/domain/errors.ts';
import {
  createAuthority,
  dayMs,
  type Issued,
  issueFor,
  keyFingerprint,
  newKeys,
  signRevocationList,
  spkiFingerprint,
  type Usage,
} from './authority.ts';
import { readText, replace, writeFault, writeNew } from './files.ts';
import { type Entry, type Index, indexFile, indexText, readIndex, saveIndex } from './index-file.ts';
import { plainSerial, readRevocationList } from './inspect.ts';
import { type Reason, reasonCodes } from './reasons.ts';

const crlDays = 180;

type Paths = { readonly certificate: string; readonly key: string; readonly crl: string };
export const authorityPaths = (directory: string): Paths => ({
  certificate: join(directory, 'cert.pem'),
  key: join(directory, 'key.pem'),
  crl: join(directory, 'crl.pem'),
});

export function entryOf(kind: Entry['kind'], name: string, certificatePem: string): Entry {
  const certificate = new X509Certificate(certificatePem);
  return {
    serial: certificate.serialNumber.toLowerCase(),
    kind,
    name,
    fingerprint: keyFingerprint(certificatePem),
    notBefore: certificate.validFromDate.toISOString(),
    notAfter: certificate.validToDate.toISOString(),
    revokedAt: null,
    reasonCode: null,
    reason: null,
  };
}

/**
 * Creates the directory completely or not at all: it is built beside its place, and then renamed to a name that does
 * not exist or is an empty directory. Throws `conflict` when the directory is not empty.
 */
export async function createAuthorityDirectory(directory: string, name: string, days: number): Promise<void> {
  if (existsSync(directory) && readdirSync(directory).length > 0)
    throw new CofferdamError('conflict', `${directory} is not empty: nothing is overwritten`);
  const authority = await createAuthority(name, days);
  const beside = `${directory.replace(/\/+$/, '')}.${process.pid}.new`;
  try {
    mkdirSync(dirname(beside), { recursive: true, mode: 0o755 });
    mkdirSync(beside, { mode: 0o700 });
    const paths = authorityPaths(beside);
    writeNew([
      { path: paths.key, content: authority.key, mode: 0o400 },
      { path: paths.certificate, content: authority.certificate, mode: 0o444 },
    ]);
    await adopt(beside, [entryOf('authority', name, authority.certificate)]);
    renameSync(beside, directory);
  } catch (cause) {
    throw writeFault(directory, cause);
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
}

/**
 * Gives an existing key and certificate an index of the certificates that are known to be issued, and a first
 * revocation list.
 */
export async function adopt(directory: string, certificates: readonly Entry[]): Promise<void> {
  const paths = authorityPaths(directory);
  const crl = await signRevocationList(readAuthority(directory), [], 1, crlDays);
  rmSync(paths.crl, { force: true });
  writeNew([
    { path: paths.crl, content: crl, mode: 0o644 },
    { path: indexFile(directory), content: indexText({ format: 1, crlNumber: 1, certificates }), mode: 0o600 },
  ]);
}

function readAuthority(directory: string): Issued {
  const paths = authorityPaths(directory);
  const certificate = readText(paths.certificate, "the authority's certificate");
  const key = readText(paths.key, "the authority's key");
  return { certificate, key };
}

/**
 * Returns the process id in a lock file, or 0 while the file is being written. Returns undefined when the holder has
 * released the lock meanwhile.
 */
function holderOf(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw cause;
  }
}

/**
 * Takes the lock that lets one command run at a time, and returns the function that releases it. The lock file contains
 * the process id, so a process that died does not hold the lock. Throws `conflict` when another command holds it.
 */
function lock(directory: string): () => void {
  const path = join(directory, 'lock');
  const take = (): boolean => {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx', mode: 0o600 });
      return true;
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') return false;
      throw writeFault(path, cause);
    }
  };
  if (!take()) {
    const holder = holderOf(path);
    if (holder !== undefined && (holder === 0 || (holder !== process.pid && existsSync(`/proc/${holder}`))))
      throw new CofferdamError(
        'conflict',
        `another command (process ${holder || '?'}) holds ${path}: wait for it, or remove it if there is none`,
      );
    if (holder !== undefined) rmSync(path, { force: true });
    if (!take()) throw new CofferdamError('conflict', `another command holds ${path}`);
  }
  return () => rmSync(path, { force: true });
}

export class Authority {
  readonly directory: string;
  readonly #issued: Issued;
  #index: Index;

  private constructor(directory: string, issued: Issued, index: Index) {
    this.directory = directory;
    this.#issued = issued;
    this.#index = index;
  }

  /** Opens an authority for one command, which has it alone. */
  static async open<T>(directory: string, work: (authority: Authority) => Promise<T>): Promise<T> {
    const index = (): Index => readIndex(directory);
    const issued = readAuthority(directory);
    index();
    const unlock = lock(directory);
    try {
      return await work(new Authority(directory, issued, index()));
    } finally {
      unlock();
    }
  }

  get certificate(): string {
    return this.#issued.certificate;
  }

  get certificates(): readonly Entry[] {
    return this.#index.certificates;
  }

  /** The newest revocation list, as it is on disk. */
  get crl(): string {
    return readText(authorityPaths(this.directory).crl, 'the revocation list');
  }

  /** Throws `invalid` when a certificate that is valid for this number of days would outlive the authority. */
  #checkDays(days: number): void {
    const left = Math.floor((new X509Certificate(this.certificate).validToDate.getTime() - Date.now()) / dayMs);
    if (days > left)
      throw new CofferdamError(
        'invalid',
        left <= 0
          ? 'the authority has expired: make a new one'
          : `the authority itself ends in ${left} days: use --days ${left} or less`,
      );
  }

  async #issue(spki: Buffer, name: string, days: number, usage: Usage): Promise<string> {
    this.#checkDays(days);
    const certificate = await issueFor(this.#issued, spki, name, days, usage);
    this.#save({ certificates: [...this.#index.certificates, entryOf(usage, name, certificate)] });
    return certificate;
  }

  #save(changed: Partial<Index>): void {
    this.#index = { ...this.#index, ...changed };
    saveIndex(this.directory, this.#index);
  }

  async issueServer(name: string, days: number): Promise<Issued> {
    const { spki, key } = await newKeys();
    return { certificate: await this.#issue(spki, name, days, 'server'), key };
  }

  /**
   * Issues a certificate for an operator's own key. Throws `conflict` when the key belongs to another name or another
   * kind of certificate, or when one of its certificates was revoked for another reason than `superseded`.
   */
  async issueOperator(spki: Buffer, name: string, days: number): Promise<string> {
    const fingerprint = spkiFingerprint(spki);
    const before = this.#index.certificates.filter((one) => one.fingerprint === fingerprint);
    const other = before.find((one) => one.kind !== 'operator' || one.name !== name);
    if (other !== undefined)
      throw new CofferdamError('conflict', `this key belongs to the ${other.kind} ${other.name}: make a new one`);
    const revoked = before.find((one) => one.revokedAt !== null && one.reasonCode !== reasonCodes.superseded);
    if (revoked !== undefined)
      throw new CofferdamError(
        'conflict',
        `this key was revoked at ${revoked.revokedAt} (${revoked.reason}): make a new one`,
      );
    return this.#issue(spki, name, days, 'operator');
  }

  /** Returns the entry of a certificate that this authority issued. Throws `invalid` for any other certificate. */
  entryOf(certificatePem: string): Entry {
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(certificatePem);
    } catch (cause) {
      throw new CofferdamError('invalid', 'this is not a certificate in PEM', { cause });
    }
    if (!certificate.verify(new X509Certificate(this.certificate).publicKey))
      throw new CofferdamError('invalid', 'this certificate was not issued by this authority');
    return this.entryOfSerial(certificate.serialNumber);
  }

  entryOfSerial(serial: string): Entry {
    const found = this.#index.certificates.find((one) => plainSerial(one.serial) === plainSerial(serial));
    if (found === undefined)
      throw new CofferdamError('not-found', `the index has no certificate with the serial ${serial}`);
    return found;
  }

  /**
   * Revokes all certificates of the key, because a stolen key is stolen under every certificate. With the reason
   * `superseded`, only the chosen certificate is revoked. Returns the certificates that were revoked now.
   */
  async revoke(chosen: Entry, reason: Reason): Promise<readonly Entry[]> {
    if (chosen.kind === 'authority')
      throw new CofferdamError(
        'invalid',
        'an authority cannot revoke itself: make a new one (docs/operations/certificates.md)',
      );
    const isSerious = reason.code !== reasonCodes.superseded;
    const isMeant = (one: Entry): boolean =>
      (one.serial === chosen.serial || (isSerious && one.fingerprint === chosen.fingerprint)) &&
      (one.revokedAt === null || (isSerious && one.reasonCode === reasonCodes.superseded));
    const now = new Date().toISOString();
    const revoked = this.#index.certificates.filter(isMeant);
    // The index is written first. If the revocation list cannot be written, the next call creates it again.
    if (revoked.length > 0)
      this.#save({
        certificates: this.#index.certificates.map((one) =>
          isMeant(one)
            ? { ...one, revokedAt: one.revokedAt ?? now, reasonCode: reason.code, reason: reason.text }
            : one,
        ),
      });
    if (revoked.length > 0 || !this.#isListed(chosen)) await this.reissueCrl();
    return revoked;
  }

  #isListed(one: Entry): boolean {
    try {
      return readRevocationList(this.crl, this.certificate).revoked.has(plainSerial(one.serial));
    } catch {
      return false;
    }
  }

  /** Writes a new revocation list with the next number, and returns that number. */
  async reissueCrl(days: number = crlDays): Promise<number> {
    const number = this.#index.crlNumber + 1;
    this.#save({ crlNumber: number });
    const revocations = this.#index.certificates.flatMap(({ serial, revokedAt, reasonCode }) =>
      revokedAt === null ? [] : [{ serial, revokedAt: new Date(revokedAt), reasonCode: reasonCode ?? 0 }],
    );
    const content = await signRevocationList(this.#issued, revocations, number, days);
    replace({ path: authorityPaths(this.directory).crl, content, mode: 0o644 });
    return number;
  }
}
