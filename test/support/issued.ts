// Owns: certificates with their keys, as a test needs them from any authority. The product issues only for public keys
// that others made.
import { type Issued, issueFor, newKeys, type Usage } from '../../certs/authority.ts';

async function issue(authority: Issued, name: string, days: number, usage: Usage): Promise<Issued> {
  const { spki, key } = await newKeys();
  return { certificate: await issueFor(authority, spki, name, days, usage), key };
}

export const issueServerCertificate = (authority: Issued, name: string, days: number): Promise<Issued> =>
  issue(authority, name, days, 'server');

export const issueOperatorCertificate = (authority: Issued, operator: string, days: number): Promise<Issued> =>
  issue(authority, operator, days, 'operator');
