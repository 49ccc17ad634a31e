// Owns: the check whether a required witness is stored on the same disk whose loss or restore it is to survive.
// Must never: treat another name of the same disk as another disk.
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Config, runtimePaths } from '../../../config/config.ts';
import { CofferdamError } from '../../../domain/errors.ts';
import type { Logger } from '../../../observability/logger.ts';

type DeviceOf = (path: string) => number | undefined;
type Given = Pick<Config, 'mode' | 'ledger' | 'runtimeDirectory' | 'storeDirectory' | 'database'>;

/**
 * Returns the device number of the directory, or of the nearest existing directory above it, where it would be created.
 */
const deviceOf: DeviceOf = (path) => {
  for (let at = path; ; at = dirname(at)) {
    try {
      return statSync(at).dev;
    } catch {
      if (at === dirname(at)) return undefined;
    }
  }
};

/** Returns a sentence for each required witness that shares a disk with what it vouches for. */
export function sharedDisks(config: Given, of: DeviceOf = deviceOf): readonly string[] {
  const { objects, postgresData } = runtimePaths(config);
  const vouchedFor = [
    { what: 'the stored objects', path: objects },
    ...(config.database.embedded ? [{ what: 'the database', path: postgresData }] : []),
  ];
  return config.ledger.witnesses.flatMap((one) => {
    if (one.type !== 'file' || !one.isRequired) return [];
    const device = of(one.directory);
    const shared = vouchedFor.filter(({ path }) => device !== undefined && of(path) === device);
    if (shared.length === 0) return [];
    return [
      `the required witness ${one.name} (${one.directory}) is on the same disk as ${shared.map(({ what, path }) => `${what} (${path})`).join(' and ')}: whoever loses or restores one has the other, too. Mount another machine's disk there, use an https witness, or set isRequired to false`,
    ];
  });
}

/** Throws `configuration` in production when a required witness shares a disk; in other modes a warning is logged. */
export function requireOwnDisks(config: Given, log: Pick<Logger, 'warn'>, of: DeviceOf = deviceOf): void {
  const shared = sharedDisks(config, of);
  if (shared.length === 0) return;
  if (config.mode === 'production') throw new CofferdamError('configuration', `ledger.witnesses: ${shared.join('; ')}`);
  for (const one of shared) log.warn(`${one}. Fine for a first look; refused in production`);
}
