// Owns: the one queue and one connection of this warden through which every extent is charged.
// The next batch goes when the previous one has returned: no timers, no leases. Any error means "unknown": nothing of that batch is released.
import { CofferdamError } from '../../domain/errors.ts';
import type { SessionId } from '../../domain/ids.ts';
import { Database } from '../../postgres/database.ts';
import { roleUrl } from '../../postgres/role-url.ts';
import type { Warden } from '../context.ts';
import { callGrantExtents, type GrantAnswer } from './grant-queries.ts';

export type GrantRequest = { readonly session: SessionId; readonly download: string; readonly index: number };
export type GrantQueue = { request(item: GrantRequest): Promise<GrantAnswer>; waiting(): number; stop(): Promise<void> };

const batchMax = 64;
const waitingMax = 4096;

type Waiting = { readonly item: GrantRequest; readonly resolve: (answer: GrantAnswer) => void; readonly reject: (error: unknown) => void };

/** Resolves only after the commit of the batch is known. */
export function createGrantQueue(warden: Pick<Warden, 'config'>): GrantQueue {
  const database = new Database({ url: roleUrl(warden.config, 'warden'), applicationName: 'cofferdam grants', connectionsMax: 1 });
  const waiting: Waiting[] = [];
  let isRunning = false;

  const run = async (): Promise<void> => {
    isRunning = true;
    while (waiting.length > 0) {
      const batch = waiting.splice(0, batchMax);
      try {
        const answers = await callGrantExtents(
          database,
          batch.map((one) => one.item),
        );
        batch.forEach((one, i) => {
          const answer = answers[i];
          if (answer === undefined) one.reject(new CofferdamError('bug', 'a grant was not answered'));
          else one.resolve(answer);
        });
      } catch (error) {
        await retrySingly(database, batch, error);
      }
    }
    isRunning = false;
  };

  return {
    request: (item) =>
      new Promise((resolve, reject) => {
        if (waiting.length >= waitingMax) {
          reject(new CofferdamError('unavailable', 'too many reads at once; try again'));
          return;
        }
        waiting.push({ item, resolve, reject });
        // Everything that arrives in this turn of the loop shares the batch.
        if (!isRunning) {
          isRunning = true;
          setImmediate(() => void run());
        }
      }),
    waiting: () => waiting.length,
    stop: () => database.close(),
  };
}

/** One poisonous item must not sink the others: after a fault of the data, each goes alone; after anything else the outcome is unknown to all. */
async function retrySingly(database: Database, batch: readonly Waiting[], error: unknown): Promise<void> {
  const isDataFault = error instanceof CofferdamError && error.code === 'bug' && batch.length > 1;
  for (const one of batch) {
    if (!isDataFault) {
      one.reject(error);
      continue;
    }
    try {
      const [answer] = await callGrantExtents(database, [one.item]);
      if (answer === undefined) one.reject(new CofferdamError('bug', 'a grant was not answered'));
      else one.resolve(answer);
    } catch (own) {
      one.reject(own);
    }
  }
}
