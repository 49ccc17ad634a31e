// Owns: archiving months of a test's record as the warden does, and asking beside the archives as `cofferctl` does, without a gateway.
import { join } from 'node:path';
import type { Client } from '../../admin-cli/client.ts';
import { findNames } from '../../server/admin/incident/archive-queries.ts';
import type { Config } from '../../server/config/config.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import type { Params } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operator-admin.ts';
import { archiveDue } from '../../server/warden/ledger/archive.ts';
import type { Teardown } from './database.ts';
import type { IncidentWorld } from './incident-world.ts';

export type Archiving = {
  readonly directory: string;
  /** Every month but the current one and the one before. */
  archive(retentionMonths?: number, forwards?: readonly string[]): Promise<void>;
  readonly client: Pick<Client, 'call'>;
};

/** The first instant of the month so many months ago, and so many minutes behind it. */
export function monthsAgo(months: number, minutes = 0): Date {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months, 1) + minutes * 60_000);
}

/** As the leading warden does once an hour. */
export async function archiveMonths(
  database: Database,
  archiveDirectory: string,
  {
    onlineMonths = 2,
    retentionMonths = 60,
    forwards: names = [],
  }: { onlineMonths?: number; retentionMonths?: number; forwards?: readonly string[] } = {},
): Promise<void> {
  const forwards = names.map((name) => ({ name, format: 'cef', destination: { transport: 'unix', path: '/nowhere' } }) as const);
  const log = createLogger({ log: { level: 'error', pretty: false } } as Config, 'warden');
  await archiveDue({ config: { archiveDirectory, onlineMonths, retentionMonths, forwards }, database, log });
}

export function archiving(t: Teardown, { sql, scopes, directory: base }: IncidentWorld): Archiving {
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  const admin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => Promise.all([warden.close(), admin.close()]).then(() => {}));
  const directory = join(base, 'archive');
  const call = async (operation: string, params: unknown): Promise<unknown> => {
    if (operation === 'ledger.archives') return { archives: await scopes.archives() };
    if (operation !== 'incident.names') throw new Error(operation);
    return admin.withSystem((tx) => findNames(tx, params as Params<OperatorToAdmin, 'incident.names'>));
  };
  return {
    directory,
    archive: (retentionMonths = 60, forwards = []) => archiveMonths(warden, directory, { retentionMonths, forwards }),
    client: { call: call as Client['call'] },
  };
}
