// Owns: one queue and one database connection for one kind of batched call. The next batch is sent when the previous
// one has returned; there are no timers and no leases.
// Must never: count an item as done after an error. Any error means that the outcome of the whole batch is unknown.

import { detach, unexpected } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { Queue } from '../../domain/queue.ts';
import { Database, type DatabaseOptions } from '../../postgres/database.ts';
import { lockNotAvailable, sqlState } from '../../postgres/database-errors.ts';
import { claimant, type Release, type Slots } from '../../rpc/slots.ts';

export type BatchQueue<Item, Answer> = {
  request(item: Item): Promise<Answer>;
  waiting(): number;
  stop(): Promise<void>;
};
type BatchOptions<Item, Answer> = {
  readonly url: string;
  readonly applicationName: string;
  readonly admit?: DatabaseOptions['admit'];
  readonly drafts?: DatabaseOptions['drafts'];
  /**
   * The places of waiting items, counted for the node that asks, so that the items of one node cannot fill the queue.
   * Undefined when only the queue's own bound applies.
   */
  readonly slots?: Slots;
  /** Carries out one batch. Returns one answer for each item, in their order, and resolves after the commit. */
  readonly call: (database: Database, items: readonly Item[]) => Promise<readonly Answer[]>;
};

export const batchMax = 64;
const waitingMax = 4096;
const clashTriesMax = 5;
/**
 * The SQL states (deadlock, serialization failure) with which the server undoes a whole batch because of another
 * transaction. The batch is then run again.
 */
const clashes: readonly (string | undefined)[] = ['40P01', '40001'];

const isDataFault = (error: unknown): boolean => error instanceof CofferdamError && error.code === 'bug';

type Waiting<Item, Answer> = {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
};

export function createBatchQueue<Item, Answer>({
  url,
  applicationName,
  admit,
  drafts,
  slots,
  call,
}: BatchOptions<Item, Answer>): BatchQueue<Item, Answer> {
  const database = new Database({
    url,
    applicationName,
    connectionsMax: 1,
    isPreparing: true,
    ...(admit && { admit }),
    ...(drafts && { drafts }),
  });
  const waiting = new Queue<Waiting<Item, Answer>>();
  let isRunning = false;

  const settle = async (batch: readonly Waiting<Item, Answer>[]): Promise<void> => {
    const answers = await withoutClash(() =>
      call(
        database,
        batch.map((one) => one.item),
      ),
    );
    batch.forEach((one, i) => {
      const answer = answers[i];
      if (answer === undefined) one.reject(new CofferdamError('bug', 'an item of a batch was not answered'));
      else one.resolve(answer);
    });
  };

  const run = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting.takeMany(batchMax);
      try {
        await settle(batch);
      } catch (error) {
        // One faulty item must not fail the others: after a fault of the data, or a lock that one of them did not get,
        // nothing has happened, and each item is sent in a batch of its own.
        const isOfOneItem = batch.length > 1 && (isDataFault(error) || sqlState(error) === lockNotAvailable);
        for (const one of batch) {
          if (isOfOneItem) await settle([one]).catch((own: unknown) => one.reject(own));
          else one.reject(error);
        }
      }
    }
    isRunning = false;
  };

  const nothing: Release = () => {};
  const place = (): Release => {
    const whose = claimant();
    return slots === undefined || whose === undefined ? nothing : slots.take(whose);
  };

  return {
    request: (item) =>
      new Promise((settled, failed) => {
        const release = place();
        const resolve = (answer: Answer): void => {
          release();
          settled(answer);
        };
        const reject = (error: unknown): void => {
          release();
          failed(error);
        };
        if (waiting.length >= waitingMax) {
          reject(new CofferdamError('unavailable', 'too many requests at once; try again'));
          return;
        }
        waiting.push({ item, resolve, reject });
        // All items that arrive in this turn of the event loop share the batch.
        if (!isRunning) {
          isRunning = true;
          setImmediate(() => detach(run(), unexpected));
        }
      }),
    waiting: () => waiting.length,
    stop: () => database.close(),
  };
}

async function withoutClash<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (tries === clashTriesMax || !clashes.includes(sqlState(error))) throw error;
    }
  }
}
