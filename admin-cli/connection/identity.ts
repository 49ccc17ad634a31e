// Owns: the operator's own certificate as cofferctl sees it: whether it has expired or expires soon, and which command
// to type then.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CofferdamError } from '../../server/domain/errors.ts';

const warnDays = 30;
const dayMs = 86_400_000;

/** The address of the admin process: its socket, or the local end of a tunnel to it. */
export type AdminAddress = string | { readonly host: string; readonly port: number };
export type Identity = { readonly directory: string; readonly socket: AdminAddress };

export const addressText = (address: AdminAddress): string =>
  typeof address === 'string'
    ? address
    : address.host.includes(':')
      ? `[${address.host}]:${address.port}`
      : `${address.host}:${address.port}`;

const renewal = (directory: string): string =>
  `Give ${join(directory, 'cert.pem')} to the keeper of the authority, who types:\n  npm run certs -- renew --authority DIR --certificate cert.pem --out cert.new.pem`;

function endOf(directory: string): Date | undefined {
  try {
    return new X509Certificate(readFileSync(join(directory, 'cert.pem'))).validToDate;
  } catch {
    return undefined;
  }
}

/** Throws `denied` when the certificate has expired, because the admin process would refuse it. */
export function checkNotExpired(directory: string, now: Date = new Date()): void {
  const end = endOf(directory);
  if (end !== undefined && end < now)
    throw new CofferdamError(
      'denied',
      `your certificate expired on ${end.toISOString().slice(0, 10)}. Nothing was done. ${renewal(directory)}`,
    );
}

/** Returns a warning when the certificate expires within 30 days, otherwise an empty text. */
export function expiryWarning(directory: string, now: Date = new Date()): string {
  const end = endOf(directory);
  const days = end === undefined ? warnDays : Math.floor((end.getTime() - now.getTime()) / dayMs);
  return days < warnDays && end !== undefined
    ? `cofferctl: your certificate ends in ${days} days, on ${end.toISOString().slice(0, 10)}. ${renewal(directory)}\n`
    : '';
}
