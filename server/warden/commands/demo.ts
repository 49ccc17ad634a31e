// Owns: what exists only in the demo world: setting a second factor with a known seed, and the refusal to run demo
// accounts anywhere but on loopback.
// Must never: be reachable without `config.demo`, which the configuration allows on loopback only (T-30).
import { z } from 'zod';
import { isLoopback } from '../../domain/addresses.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { insertSecondFactor } from '../authentication/factor-queries.ts';
import type { Maker } from '../changes/provenance.ts';
import type { Warden } from '../context.ts';
import { countDemoAccounts, findAccountByName } from './command-queries.ts';
import type { Doing } from './use-cases.ts';

const setFactorParams = z.strictObject({ account: z.string(), seed: z.base64().length(28) });

export const demoUseCases = {
  'demo.set-factor': {
    params: setFactorParams,
    run: async ({ account: name, seed }: z.infer<typeof setFactorParams>, { tx, warden }: Doing): Promise<Record<string, never>> => {
      const account = await findAccountByName(tx, name, 'to-rely');
      if (account === undefined) throw new CofferdamError('not-found', `there is no account named ${name}`);
      if (!(await insertSecondFactor(tx, account.id, warden.keys.sealSecret('totp', account.id, Buffer.from(seed, 'base64')))))
        throw new CofferdamError('conflict', 'the account has a second factor');
      return {};
    },
  },
} as const;

/** Returns the maker of the rows that a command makes: the operator, except for commands that only the demo world has. */
export const makerOf = (operation: string, { demo }: Pick<Warden['config'], 'demo'>): Maker =>
  demo && Object.hasOwn(demoUseCases, operation) ? 'demo' : 'operator';

/** Throws `configuration` when the database has demo accounts and this is not the demo world on loopback. Called at the start. */
export async function assertNoDemoOutsideLoopback(warden: Pick<Warden, 'config' | 'database'>): Promise<void> {
  const { config, database } = warden;
  if (config.demo && config.edges.every((edge) => isLoopback(edge.host))) return;
  const accounts = await database.withSystem(countDemoAccounts);
  if (accounts > 0)
    throw new CofferdamError(
      'configuration',
      `${accounts} demo accounts exist in this database: a gateway with demo accounts runs only without a configuration file and on loopback`,
    );
}
