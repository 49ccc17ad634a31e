// Owns: the result of `certs list`: everything that was issued, the days that are left, and what has to be done soon.
import type { Authority } from './authority-directory.ts';
import type { Entry } from './index-file.ts';
import { daysLeft, readRevocationList } from './inspect.ts';

export const warnDays = 30;

type Listed = Entry & { readonly daysLeft: number; readonly state: 'good' | 'replaced' | 'expired' | 'revoked' };
type Listing = {
  readonly certificates: readonly Listed[];
  readonly crl: { readonly number: number; readonly nextUpdate: string; readonly daysLeft: number };
  readonly warnings: readonly string[];
};

/** Returns whether another certificate of the same kind and name, which is not revoked, is valid for longer. */
const isReplaced = (one: Entry, all: readonly Entry[]): boolean =>
  all.some(
    (other) =>
      other.kind === one.kind && other.name === one.name && other.revokedAt === null && other.notAfter > one.notAfter,
  );

const ends = (days: number): string => (days < 0 ? `expired ${-days} days ago` : `expires in ${days} days`);

function nextStep({ kind, name, serial }: Entry, directory: string): string {
  switch (kind) {
    case 'authority':
      return 'make a new authority beside it, then new certificates of everybody (docs/operations/certificates.md)';
    case 'server':
      return `certs server --authority ${directory} --out NEWDIR`;
    case 'operator':
      return `certs renew --authority ${directory} --certificate CERTIFICATE-OF-${name} --out FILE, or certs revoke --authority ${directory} --serial ${serial} --reason cessation-of-operation`;
  }
}

export function listing(authority: Authority, now: Date = new Date()): Listing {
  const all = authority.certificates;
  const certificates = all.map((one): Listed => {
    const left = daysLeft(new Date(one.notAfter), now);
    const state =
      one.revokedAt !== null ? 'revoked' : isReplaced(one, all) ? 'replaced' : left < 0 ? 'expired' : 'good';
    return { ...one, daysLeft: left, state };
  });
  const list = readRevocationList(authority.crl, authority.certificate);
  const crlLeft = daysLeft(list.nextUpdate, now);
  const warnings = certificates
    .filter((one) => (one.state === 'good' || one.state === 'expired') && one.daysLeft < warnDays)
    .map((one) => `${one.kind} ${one.name} ${ends(one.daysLeft)}: ${nextStep(one, authority.directory)}`);
  if (crlLeft < warnDays)
    warnings.push(`the revocation list ${ends(crlLeft)}: certs crl --authority ${authority.directory}`);
  return {
    certificates,
    crl: { number: list.number, nextUpdate: list.nextUpdate.toISOString(), daysLeft: crlLeft },
    warnings,
  };
}

export function listingText({ certificates, crl }: Listing): string {
  const rows = [
    ['kind', 'name', 'state', 'days left', 'not after', 'serial'],
    ...certificates.map((one) => [
      one.kind,
      one.name,
      one.state,
      String(one.daysLeft),
      one.notAfter.slice(0, 10),
      one.serial,
    ]),
    [
      'crl',
      `number ${crl.number}`,
      crl.daysLeft < 0 ? 'expired' : 'good',
      String(crl.daysLeft),
      crl.nextUpdate.slice(0, 10),
      '',
    ],
  ];
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0))) ?? [];
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
