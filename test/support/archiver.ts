// Owns: a process that archives once, as a leading warden does, and kills itself after the step that it is told. It
// reports on standard output what waits.
import type { Config } from '../../server/config/config.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { archiveDue } from '../../server/warden/ledger/archive.ts';

const [url = '', archiveDirectory = '', fatal = 'none', onlineMonths = '2'] = process.argv.slice(2);
const database = new Database({ url, applicationName: 'test archiver', connectionsMax: 1 });
const waiting = await archiveDue({
  config: { archiveDirectory, onlineMonths: Number(onlineMonths), retentionMonths: 60, forwards: [] },
  database,
  log: createLogger({ log: { level: 'fatal' as 'error', pretty: false } } as Config, 'warden'),
  onStep: (step) => {
    if (step === fatal) process.kill(process.pid, 'SIGKILL');
  },
});
process.stdout.write(`${JSON.stringify(waiting)}\n`);
await database.close();
