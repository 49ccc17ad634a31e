// Owns: composing what operators read about credentials, rotations and windows.
import type { Config } from '../config/config.ts';
import { CofferdamError } from '../domain/errors.ts';
import type { Transaction } from '../postgres/database.ts';
import type { Params, Result } from '../rpc/operation.ts';
import type { OperatorToAdmin } from '../rpc/operator-admin.ts';
import {
  countLockedOut,
  credentialHistory,
  findCredential,
  listRotations,
  plannedCredentials,
  type RotationItem,
  type RotationRow,
  rotationItems,
} from './credential-queries.ts';

export const dormantMs = ({ credentials }: Config): number => credentials.dormantDays * credentials.dayMs;

export async function showCredential(
  tx: Transaction,
  config: Config,
  fingerprint: string,
): Promise<Result<OperatorToAdmin, 'credential.show'>> {
  const credential = await findCredential(tx, dormantMs(config), fingerprint);
  if (credential === undefined)
    throw new CofferdamError('not-found', 'no account has a credential of this name: see `cofferctl credential list`');
  return { credential, history: [...(await credentialHistory(tx, fingerprint))] };
}

type Plan = Result<OperatorToAdmin, 'credential.plan'>;

/** Returns which credentials a command with this selection would affect, and how many accounts would be locked out. */
export async function planFor(
  tx: Transaction,
  config: Config,
  { selection, what }: Params<OperatorToAdmin, 'credential.plan'>,
): Promise<Omit<Plan, 'more'>> {
  const credentials = [...(await plannedCredentials(tx, dormantMs(config), selection, what === 'rotate'))];
  const names = credentials.map((one) => one.fingerprint);
  return {
    credentials,
    count: credentials.length,
    accounts: new Set(credentials.map((one) => one.account)).size,
    openSessions: credentials.reduce((sum, one) => sum + one.openSessions, 0),
    locksOut: await countLockedOut(tx, dormantMs(config), names),
  };
}

export async function showRotation(
  tx: Transaction,
  params: Params<OperatorToAdmin, 'rotation.show'>,
): Promise<{ readonly rotation: RotationRow; readonly items: readonly RotationItem[] }> {
  const [rotation] = await listRotations(tx, params.rotation);
  if (rotation === undefined) throw new CofferdamError('not-found', 'there is no such rotation: see `cofferctl rotation list`');
  return { rotation, items: await rotationItems(tx, params) };
}
