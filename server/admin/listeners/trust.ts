// Owns: the four files behind the operators' TLS (certificate, key, authorities, revocation lists): they are read,
// checked, and read again when they change.
// Must never: replace working files by broken or older ones, or accept a certificate that has expired or was revoked.
import { constants, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import {
  certificatesIn,
  daysLeft,
  plainSerial,
  readTrusted,
  revocationListsIn,
  type Trusted,
} from '../../../certs/inspect.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { Logger } from '../../observability/logger.ts';

const names = ['cert.pem', 'key.pem', 'ca.pem', 'crl.pem'] as const;
const pollMs = 2000;
const fileBytesMax = 4 * 1024 * 1024;

export type Trust = {
  readonly certificate: X509Certificate;
  readonly trusted: readonly Trusted[];
  readonly context: SecureContextOptions;
};

function read(directory: string, name: (typeof names)[number]): string {
  const path = join(directory, name);
  try {
    if (statSync(path).size > fileBytesMax) throw new CofferdamError('configuration', `${path} is too long`);
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof CofferdamError) throw cause;
    const next =
      name === 'crl.pem'
        ? ': copy it from the authority, which makes it with `npm run certs -- crl --authority DIR`'
        : '';
    throw new CofferdamError('configuration', `the admin certificate cannot be read in ${directory} (${name})${next}`, {
      cause,
    });
  }
}

/** Reads all four files and checks that they fit together. Throws `configuration` that says what does not. */
export function readTrust(directory: string): Trust {
  const [cert, key, ca, crl] = [
    read(directory, 'cert.pem'),
    read(directory, 'key.pem'),
    read(directory, 'ca.pem'),
    read(directory, 'crl.pem'),
  ];
  try {
    const trusted = readTrusted(ca, crl);
    const certificate = new X509Certificate(cert);
    if (!trusted.some((one) => certificate.verify(one.authority.publicKey)))
      throw new CofferdamError('invalid', 'cert.pem was not issued by an authority of ca.pem');
    const context: SecureContextOptions = {
      cert,
      key,
      ca: [...certificatesIn(ca)],
      crl: [...revocationListsIn(crl)],
      minVersion: 'TLSv1.3',
      // Session tickets are disabled, so that every connection shows its certificate: a resumed session would rely on
      // what was valid when the session began.
      secureOptions: constants.SSL_OP_NO_TICKET,
    };
    createSecureContext(context);
    return { certificate, trusted, context };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'unknown error';
    throw new CofferdamError('configuration', `the files in ${directory} do not fit together: ${reason}`, { cause });
  }
}

/** Returns why a connection with this certificate is not served, or undefined when it is. */
export function refusalOf(trust: Trust, certificate: X509Certificate, now: Date = new Date()): string | undefined {
  const issuer = trust.trusted.find((one) => certificate.verify(one.authority.publicKey));
  if (issuer === undefined) return 'this certificate is of another authority';
  if (issuer.list.revoked.has(plainSerial(certificate.serialNumber))) return 'this certificate was revoked';
  return certificate.validToDate < now ? 'this certificate has expired' : undefined;
}

/** Throws `configuration` when a revocation list is older than the one in use, because that would undo a revocation. */
function checkNotOlder(before: Trust, after: Trust): void {
  for (const { authority, list } of after.trusted) {
    const former = before.trusted.find((one) => one.authority.fingerprint256 === authority.fingerprint256);
    if (former !== undefined && list.number < former.list.number)
      throw new CofferdamError(
        'configuration',
        `crl.pem is number ${list.number}, older than number ${former.list.number} that is in use`,
      );
  }
}

/** The current files behind the operators' TLS. When changed files are bad, the former ones stay in use. */
export class TrustFiles {
  readonly #directory: string;
  readonly #log: Logger;
  #seen: string;
  #current: Trust;
  #timer: NodeJS.Timeout | undefined;

  /** Reads the files. Throws `configuration` when they are missing or do not fit together. */
  constructor(directory: string, log: Logger) {
    this.#directory = directory;
    this.#log = log;
    this.#seen = this.#look();
    this.#current = readTrust(directory);
    this.#sayWhatEnded();
  }

  get current(): Trust {
    return this.#current;
  }

  /** Looks for changes of the files every two seconds until `stop`. */
  watch(onChange: (trust: Trust) => void): void {
    this.#timer = setInterval(() => this.#poll(onChange), pollMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * Returns the state of the files. It is taken before they are read, so that a change made meanwhile is seen by the
   * next look.
   */
  #look(): string {
    return names
      .map((name) => {
        const found = statSync(join(this.#directory, name), { throwIfNoEntry: false });
        return found === undefined ? 'none' : `${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`;
      })
      .join('\n');
  }

  #poll(onChange: (trust: Trust) => void): void {
    try {
      const seen = this.#look();
      if (seen === this.#seen) return;
      this.#seen = seen;
      const trust = readTrust(this.#directory);
      checkNotOlder(this.#current, trust);
      onChange(trust);
      this.#current = trust;
      this.#log.info({ lists: trust.trusted.map((one) => one.list.number) }, 'the admin certificates were read again');
      this.#sayWhatEnded();
    } catch (error) {
      this.#log.error(
        { reason: error instanceof Error ? error.message : 'unknown error' },
        'changed admin certificates are not used; the former stay',
      );
    }
  }

  #sayWhatEnded(): void {
    const { certificate, trusted } = this.#current;
    const ends = [
      ['admin certificate', certificate.validToDate] as const,
      ...trusted.flatMap(({ authority, list }) => [
        ['authority', authority.validToDate] as const,
        ['revocation list', list.nextUpdate] as const,
      ]),
    ];
    for (const [what, end] of ends)
      if (daysLeft(end) < 0)
        this.#log.error(
          { what, ended: end.toISOString() },
          'operators cannot connect until this is renewed (docs/operations/certificates.md)',
        );
  }
}
