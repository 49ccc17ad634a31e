// Owns: a configuration for tests of the record alone: its keys and its file witness are in a directory of the test.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';

/** The witness is `witness` below the directory; whoever uses it makes it. */
export function ledgerConfig(directory: string, limits: Readonly<Record<string, number>>): Config {
  const file = join(directory, 'settings.json');
  writeFileSync(
    file,
    JSON.stringify({
      mode: 'development',
      runtimeDirectory: directory,
      edges: [{ node: 'p', plane: 'partner', host: '127.0.0.1', port: 2222 }],
      database: { embedded: true },
      log: { level: 'error' },
      limits,
      ledger: { witnesses: [{ type: 'file', name: 'local', directory: join(directory, 'witness') }] },
    }),
  );
  return loadConfig({ file, env: {}, isRoot: false, isTerminal: false, projectDirectory: directory });
}
