// Owns: the findings about the certificate, the authorities and the revocation lists of the admin process.
import { daysLeft } from '../../../certs/inspect.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { readTrust } from '../listeners/trust.ts';
import { type Finding, fault, ok, warning } from './finding.ts';

const warnDays = 30;

function endFinding(check: string, what: string, end: Date, next: string): Finding {
  const days = daysLeft(end);
  if (days < 0) return fault(check, `${what} ended ${-days} days ago`, next);
  return days < warnDays
    ? warning(check, `${what} ends in ${days} days`, next)
    : ok(check, `${what} is good for ${days} more days`);
}

/** Returns the findings about the files as they are on the disk now. */
export function certificateFindings(directory: string): readonly Finding[] {
  try {
    const { certificate, trusted } = readTrust(directory);
    return [
      endFinding(
        'admin certificate',
        'it',
        certificate.validToDate,
        `where the authority is: npm run certs -- server --authority DIR --out NEW; then move what is in NEW into ${directory}`,
      ),
      ...trusted.flatMap(({ authority, list }) => [
        endFinding(
          'authority',
          authority.subject.replaceAll('\n', ', '),
          authority.validToDate,
          'where the authority is: npm run certs -- authority --out NEW; then both authorities side by side, as docs/operations/certificates.md describes under "A new authority"',
        ),
        endFinding(
          'revocation list',
          `number ${list.number}, with ${list.revoked.size} revoked,`,
          list.nextUpdate,
          `where the authority is: npm run certs -- crl --authority DIR; then copy its crl.pem to ${directory}/crl.pem. Without a fresh list no operator can connect`,
        ),
      ]),
    ];
  } catch (error) {
    const reason = error instanceof CofferdamError ? error.message : 'unknown error';
    return [
      fault(
        'admin certificate',
        reason,
        `put cert.pem, key.pem, ca.pem and crl.pem that fit together into ${directory}; the former are still in use`,
      ),
    ];
  }
}
