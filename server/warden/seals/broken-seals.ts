// Owns: finding, among all rows that must carry a seal, those that have none and those that are not what the warden
// wrote.
// Must never: keep a transaction open from one page to the next.
import type { Warden } from '../context/context.ts';
import { generationsOf } from './generations.ts';
import { pageOfSeals, type RowName, unsealedRows } from './seal-queries.ts';
import { firstBroken } from './seals.ts';

const pageRows = 500;

/**
 * Yields every row that must carry a valid seal and does not, and every row about which an entry of the record was
 * hidden when the record was first read.
 */
export async function* brokenSeals(warden: Pick<Warden, 'database' | 'keys'>): AsyncGenerator<RowName> {
  yield* await warden.database.withSystem((tx) => generationsOf(warden.keys).reread(tx));
  yield* await warden.database.withSystem((tx) => unsealedRows(tx, pageRows));
  let after: RowName | null = null;
  for (;;) {
    const page: readonly RowName[] = await warden.database.withSystem((tx) => pageOfSeals(tx, after, pageRows));
    after = page.at(-1) ?? null;
    if (after === null) return;
    for (let rest = page; rest.length > 0; ) {
      const current = rest;
      const broken: RowName | undefined = await warden.database.withSystem((tx) =>
        firstBroken(tx, warden.keys, current),
      );
      if (broken === undefined) break;
      yield broken;
      rest = rest.slice(rest.indexOf(broken) + 1);
    }
  }
}
