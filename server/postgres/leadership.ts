// Owns: being the one process of several that does a job, by an advisory lock on a connection of its own. The process
// leads as long as that connection lives.
// Must never: be a condition of correctness. A leader that was cut off may believe for a moment that it still leads;
// rows and locks decide.
import pg from 'pg';
import { detach, givenUp, unexpected } from '../domain/detached.ts';
import { plainSettings } from './connection-settings.ts';

const retryMs = 500;

/**
 * Tries to take the lock until it holds it, and again whenever it was lost. `key` is a number of ours that fits into 63
 * bits.
 */
export function lead(
  url: string,
  applicationName: string,
  key: number,
): { readonly isLeading: boolean; stop(): Promise<void> } {
  let client: pg.Client | undefined;
  let isLeading = false;
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  const again = (): void => {
    isLeading = false;
    const last = client;
    client = undefined;
    detach(last?.end(), givenUp);
    if (!isStopped) timer = setTimeout(() => detach(attempt(), unexpected), retryMs);
  };
  const attempt = async (): Promise<void> => {
    if (isStopped) return;
    try {
      if (client === undefined) {
        const next = new pg.Client({
          connectionString: url,
          application_name: applicationName,
          connectionTimeoutMillis: 5000,
          keepAlive: true,
          options: plainSettings,
        });
        client = next;
        const lost = (): void => {
          if (client === next) again();
        };
        next.on('error', lost);
        next.on('end', lost);
        await next.connect();
      }
      const { rows } = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [key]);
      isLeading = rows[0]?.held === true;
      if (!isLeading && !isStopped) timer = setTimeout(() => detach(attempt(), unexpected), retryMs);
    } catch {
      if (client !== undefined) again();
    }
  };
  detach(attempt(), unexpected);
  return {
    get isLeading() {
      return isLeading;
    },
    stop: async () => {
      isStopped = true;
      isLeading = false;
      clearTimeout(timer);
      const last = client;
      client = undefined;
      await detach(last?.end(), givenUp);
    },
  };
}
