// Owns: composing what operators read about credentials.
import type { CredentialAges } from '../../config/credential-ages.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { countLockedOut, credentialHistory, findCredential, plannedCredentials } from './credential-queries.ts';

export const dormantMs = ({ dormantDays, dayMs }: CredentialAges): number => dormantDays * dayMs;

export async function showCredential(
  tx: Transaction,
  ages: CredentialAges,
  fingerprint: string,
): Promise<Result<OperatorToAdmin, 'credential.show'>> {
  const credential = await findCredential(tx, dormantMs(ages), fingerprint);
  if (credential === undefined)
    throw new CofferdamError('not-found', 'no account has a credential of this name: see `cofferctl credential list`');
  return { credential, history: [...(await credentialHistory(tx, fingerprint))] };
}

type Plan = Result<OperatorToAdmin, 'credential.plan'>;

/** Returns which credentials a command with this selection would affect, and how many accounts would be locked out. */
export async function planFor(
  tx: Transaction,
  ages: CredentialAges,
  { selection, what }: Params<OperatorToAdmin, 'credential.plan'>,
): Promise<Omit<Plan, 'more'>> {
  const credentials = [...(await plannedCredentials(tx, dormantMs(ages), selection, what === 'rotate'))];
  const names = credentials.map((one) => one.fingerprint);
  return {
    credentials,
    count: credentials.length,
    accounts: new Set(credentials.map((one) => one.account)).size,
    openSessions: credentials.reduce((sum, one) => sum + one.openSessions, 0),
    locksOut: await countLockedOut(tx, dormantMs(ages), names),
  };
}
