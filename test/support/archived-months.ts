// Owns: archiving months of a test's record as the warden does, and searching in the archives as `cofferctl` does,
// without a gateway.
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import type { Client } from '../../admin-cli/connection/client.ts';
import { findNames } from '../../server/admin/incident/archive-queries.ts';
import type { Config } from '../../server/config/config.ts';
import { originOf } from '../../server/domain/ledger/checkpoint.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import type { Params } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import { checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';
import { archiveDue } from '../../server/warden/ledger/archive.ts';
import { Sealer } from '../../server/warden/ledger/sealer.ts';
import type { Teardown, TestDatabase } from './database.ts';
import type { IncidentWorld } from './incident-world.ts';
import { witnessAll } from './long-ago.ts';

export type Archiving = {
  readonly directory: string;
  /** Every month except the current one and the one before. */
  archive(retentionMonths?: number, forwards?: readonly string[]): Promise<void>;
  readonly client: Pick<Client, 'call'>;
};

/** The first instant of the month this many months ago, and this many minutes after it. */
export function monthsAgo(months: number, minutes = 0): Date {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months, 1) + minutes * 60_000);
}

const origin = originOf('6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a15');

/** As the leading warden does again and again. `seal`: what was written is sealed and witnessed. */
export async function archiveMonths(
  database: Database,
  archiveDirectory: string,
  seal: () => Promise<void>,
  {
    onlineMonths = 2,
    retentionMonths = 60,
    forwards: names = [],
  }: { onlineMonths?: number; retentionMonths?: number; forwards?: readonly string[] } = {},
): Promise<void> {
  const forwards = names.map(
    (name) => ({ name, format: 'cef', destination: { transport: 'unix', path: '/nowhere' } }) as const,
  );
  const log = createLogger({ log: { level: 'error', pretty: false } } as Config, 'warden');
  const options = { config: { archiveDirectory, onlineMonths, retentionMonths, forwards }, database, log };
  // Every step that waits for a seal and a witness gets them: first the statements about the months, then those about
  // what is deleted.
  await seal();
  for (let passes = 0; passes < 3; passes += 1) {
    await archiveDue(options);
    await seal();
  }
}

/**
 * Seals what waits beside a history that was written without trees, and counts it as witnessed. It uses one sealer,
 * which knows what it sealed: nothing can be proved from such a history.
 */
function sealBesideHistory(sql: TestDatabase, database: Database): () => Promise<void> {
  // A statement stands behind the entries that it states, so each tree grows beyond its history first.
  let isBehind = false;
  const fill = async (): Promise<void> => {
    if (isBehind) return;
    isBehind = true;
    await sql.query(
      `insert into ledger_fresh (kind, observer, customer_id)
       select 'file.published', 'warden', nullif(h.tree, '00000000-0000-0000-0000-000000000000')
       from (select tree, max(position) as last from ledger_sealed group by 1) h, generate_series(0, h.last)`,
    );
  };
  const signer = checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin);
  const sealer = new Sealer(database, createLogger({ log: { level: 'error', pretty: false } }, 'warden'));
  return async () => {
    await fill();
    for (let isFull = true; isFull; )
      isFull = (await sealer.round({ signer, origin }, { isSignDue: false, now: Date.now() }))?.isFull === true;
    await witnessAll(sql);
  };
}

export function archiving(t: Teardown, { sql, scopes, directory: base }: IncidentWorld): Archiving {
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  const admin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => Promise.all([warden.close(), admin.close()]).then(() => {}));
  const directory = join(base, 'archive');
  const seal = sealBesideHistory(sql, warden);
  const call = async (operation: string, params: unknown): Promise<unknown> => {
    if (operation === 'ledger.archives') return { archives: await scopes.archives() };
    if (operation !== 'incident.names') throw new Error(operation);
    return admin.withSystem((tx) => findNames(tx, params as Params<OperatorToAdmin, 'incident.names'>));
  };
  return {
    directory,
    archive: (retentionMonths = 60, forwards = []) =>
      archiveMonths(warden, directory, seal, { retentionMonths, forwards }),
    client: { call: call as Client['call'] },
  };
}
