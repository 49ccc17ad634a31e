// Owns: the configuration of `cofferdam verify`, which is a file of its own on another host.
// Must never: use a file that others may read, because it holds a password.
import { readFileSync, statSync } from 'node:fs';
import { z } from 'zod';
import { fullRunHours } from '../config/ledger-settings.ts';
import { secretForbidden } from '../config/owned-paths.ts';
import { CofferdamError } from '../domain/errors.ts';

const path = z.string().min(1).max(4096);
const settings = z.strictObject({
  /** The connection string of the role cofferdam_auditor. */
  databaseUrl: z.string().min(1).max(4096),
  /** Verifier keys as `cofferctl ledger status` shows them. */
  keys: z.array(z.string().min(1).max(256)).min(1).max(20),
  witnesses: z.array(path).min(1).max(8),
  archive: path.nullable().default(null),
  maxAgeSeconds: z.number().int().min(0).max(1_000_000_000).default(600),
  everyMinutes: z.number().int().min(1).max(10_080).default(60),
  /** How often at least a run reads everything; the runs between read what was sealed since. */
  fullEveryHours: z.number().int().min(1).max(168).default(fullRunHours),
  /** A file of this host's own, in which a run leaves what the next one goes on from; null: in memory only. */
  state: path.nullable().default(null),
});
export type VerifySettings = z.infer<typeof settings>;

/**
 * Reads the configuration. Throws `configuration` with every fault, and when others may read the file, which holds a
 * password.
 */
export function loadVerifySettings(file: string): VerifySettings {
  let given: unknown;
  try {
    const mode = statSync(file).mode & 0o777;
    if ((mode & secretForbidden) !== 0)
      throw new CofferdamError(
        'configuration',
        `${file} may be read by others (mode ${mode.toString(8)}): chmod 0400 it, and change the password`,
      );
    given = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    if (cause instanceof CofferdamError) throw cause;
    throw new CofferdamError('configuration', `${file} cannot be read as JSON`, { cause });
  }
  const parsed = settings.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new CofferdamError(
    'configuration',
    parsed.error.issues.map((one) => `${file}: ${one.path.join('.')}: ${one.message}`).join('\n'),
  );
}
