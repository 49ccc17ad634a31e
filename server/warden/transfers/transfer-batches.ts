// Owns: the queues of transfers beside those of charges: small files that come whole, and handles that are closed. Each
// plane has its own.
import type { Config } from '../../config/config.ts';
import type { DatabaseOptions } from '../../postgres/database.ts';
import { roleUrl } from '../../postgres/role-url.ts';
import type { Slots } from '../../rpc/slots.ts';
import { createQueues, type Queues } from '../budgets/charges.ts';
import { type Close, type CloseAnswer, callCloseBatch } from './close-queries.ts';
import { callPutBatch, type Put, type PutAnswer } from './put-queries.ts';

type TransferBatches = {
  readonly puts: Queues<Put, PutAnswer>;
  readonly closes: Queues<Close, CloseAnswer>;
  stop(): Promise<void>;
};
/** What a use case receives that puts small files or closes handles. */
export type Batching = { readonly batches: TransferBatches };

export function createTransferBatches({
  config,
  admit,
  drafts,
  grants,
}: {
  readonly config: Parameters<typeof roleUrl>[0] & Pick<Config, 'database'>;
  readonly admit: DatabaseOptions['admit'];
  readonly drafts?: DatabaseOptions['drafts'];
  readonly grants?: Slots;
}): TransferBatches {
  const url = roleUrl(config, 'warden');
  const hook = { url, ...(admit && { admit }), ...(drafts && { drafts }), ...(grants && { slots: grants }) };
  const puts = createQueues<Put, PutAnswer>(hook, 'puts', callPutBatch);
  const closes = createQueues<Close, CloseAnswer>(hook, 'closes', callCloseBatch);
  return {
    puts,
    closes,
    stop: async () => {
      await Promise.all([puts, closes].flatMap(({ partner, internal }) => [partner.stop(), internal.stop()]));
    },
  };
}
