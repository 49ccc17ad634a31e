// Owns: the handlers of what operators may read about files.
import { CofferdamError } from '../../domain/errors.ts';
import { parseReceipt } from '../../domain/receipt.ts';
import type { fileOperations } from '../../rpc/operators/file.ts';
import { pageOf } from '../reading/fitting.ts';
import { requireCustomerNamed } from '../reading/names.ts';
import { type Reading, type Reads, rowsMax } from '../reading/reading.ts';
import { findReceiptByPath, findReceiptByVersion, findReceiptKey, listFiles, listReceiptKeys } from './file-queries.ts';

export const fileReads = ({ read }: Reading): Reads<typeof fileOperations> => ({
  // Whoever asks for so many knows that there may be more.
  'file.list': async ({ customer, folder, limit = rowsMax + 1 }) =>
    pageOf(
      'files',
      await read(async (tx) => {
        await requireCustomerNamed(tx, customer);
        return listFiles(tx, customer, folder ?? null, limit);
      }),
      rowsMax,
    ),
  'file.receipt': ({ version, customer, path }) =>
    read(async (tx) => {
      if ((version === undefined) === (customer === undefined || path === undefined))
        throw new CofferdamError(
          'invalid',
          'name a version, or a customer and a path: `cofferctl file list CUSTOMER` shows both',
        );
      await requireCustomerNamed(tx, customer);
      const row =
        version === undefined
          ? await findReceiptByPath(tx, customer ?? '', path ?? '')
          : await findReceiptByVersion(tx, version);
      if (row === undefined) throw new CofferdamError('not-found', 'there is no receipt for this file');
      const publicKey = await findReceiptKey(tx, parseReceipt(row.receipt).keyId);
      if (publicKey === undefined) throw new CofferdamError('corrupt', 'the key of this receipt is not known');
      return { receipt: row.receipt, publicKey };
    }),
  'file.receipt-keys': async () => ({ keys: [...(await read(listReceiptKeys))] }),
});
