// Owns: `cofferctl ledger tail`.
import { held } from '../../server/domain/detached.ts';
import { stopSignals } from '../../server/domain/stop-signals.ts';
import type { LedgerRow } from '../../server/rpc/operators/ledger-entries.ts';
import { type Verb, wholeNumber } from '../verb/verb.ts';
import { filterOf, followOptions } from './filter.ts';
import { entryLine } from './rows.ts';

/** Resolves on Ctrl-C or another signal to stop, or when the reader of our output is gone. */
function interrupted(): { readonly promise: Promise<'interrupted'>; stop(): void } {
  let stop = (): void => {};
  const promise = new Promise<'interrupted'>((resolve) => {
    const end = (): void => resolve('interrupted');
    for (const signal of stopSignals) process.once(signal, end);
    process.stdout.once('error', end);
    stop = () => {
      for (const signal of stopSignals) process.off(signal, end);
    };
  });
  return { promise, stop };
}

export const ledgerTail: Verb = {
  words: ['ledger', 'tail'],
  positionals: [],
  options: [
    ...followOptions,
    { name: 'count', value: 'N', help: 'ends after so many' },
    { name: 'after', value: 'NUMBER', help: 'goes on after this entry (default: from now on)' },
  ],
  help: 'Entries of the record as they are sealed, each once, until Ctrl-C. With --json one object a line. Its own calls are on the record, but not shown.',
  example: 'cofferctl ledger tail --kind login --customer acme',
  operations: ['ledger.tail'],
  run: async (client, given) => {
    const filter = filterOf(given);
    const count = wholeNumber(given, 'count') ?? Number.POSITIVE_INFINITY;
    const print = (row: LedgerRow): void =>
      void process.stdout.write(`${given.isJson ? JSON.stringify(row) : entryLine(row)}\n`);
    const interrupt = interrupted();
    let printed = 0;
    let last: number | null = wholeNumber(given, 'after') ?? null;
    try {
      while (printed < count) {
        // After Ctrl-C nobody awaits this call any more, so its failure must not be unhandled.
        const call = held(client.call('ledger.tail', { filter, after: last }));
        const page = await Promise.race([call, interrupt.promise]);
        if (page === 'interrupted') break;
        for (const row of page.entries.slice(0, count - printed)) print(row);
        printed += page.entries.length;
        if (last === null && given.isTerminal)
          process.stderr.write(`cofferctl: entries after number ${page.last}; Ctrl-C ends\n`);
        last = page.last;
      }
    } catch (error) {
      if (last !== null)
        process.stderr.write(`cofferctl: everything up to number ${last} was shown: go on with --after ${last}\n`);
      throw error;
    } finally {
      interrupt.stop();
    }
    return { data: null, text: '', isSaid: true };
  },
};
