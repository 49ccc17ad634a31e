// Owns: what exists only in the demo world: setting a second factor with a known seed, and the refusal to run demo
// accounts anywhere but on loopback.
// Must never: be reachable without `Config.demo`, which the configuration allows on loopback only (T-30).
import { z } from 'zod';
import { isLoopback } from '../../domain/addresses.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { countDemoAccounts, findAccountByName } from '../accounts/account-queries.ts';
import type { Doing } from '../commands/doing.ts';
import type { Operations } from '../commands/execute.ts';
import type { Warden } from '../context/context.ts';
import { insertSecondFactor } from '../factors/factor-queries.ts';

/** `seed` is 20 bytes in base64. */
const setFactorParams = z.strictObject({ account: z.string(), seed: z.base64().length(28) });

/** Returns the operations of the demo world, by name; none when this gateway is not the demo world. */
export const demoUseCasesOf = ({ isDemo }: Pick<Warden, 'isDemo'>): Operations['demo'] =>
  isDemo ? { 'demo.set-factor': setFactor } : {};

async function setFactor(params: unknown, { tx, warden }: Doing): Promise<Record<string, never>> {
  const { account: name, seed } = setFactorParams.parse(params);
  const account = await findAccountByName(tx, name, 'to-rely');
  if (account === undefined) throw new CofferdamError('not-found', `there is no account named ${name}`);
  if (
    !(await insertSecondFactor(tx, account.id, warden.keys.sealSecret('totp', account.id, Buffer.from(seed, 'base64'))))
  )
    throw new CofferdamError('conflict', 'the account already has a second factor');
  return {};
}

/**
 * Throws `configuration` when the database has demo accounts and this is not the demo world on loopback. Called at the
 * start.
 */
export async function assertNoDemoOutsideLoopback(
  warden: Pick<Warden, 'isDemo' | 'edges' | 'database'>,
): Promise<void> {
  const { isDemo, edges, database } = warden;
  if (isDemo && edges.every((edge) => isLoopback(edge.host))) return;
  const accounts = await database.withSystem(countDemoAccounts);
  if (accounts > 0)
    throw new CofferdamError(
      'configuration',
      `${accounts} demo accounts exist in this database: a gateway with demo accounts runs only without a configuration file and on loopback`,
    );
}
