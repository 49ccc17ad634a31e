// Owns: one entry of the record, whole: each field with its class and whose word it is, its session, and whether it is proved and witnessed.
// Must never: call an entry proved whose leaf is not what its fields say.
import { hash } from 'node:crypto';
import { verifyAuditPath } from '../../../verifier/ledger-verifier.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { columns, entryKinds } from '../../domain/ledger/entry-kinds.ts';
import { leafData, type PlacedEntry } from '../../domain/ledger/leaf.ts';
import { leafHash, type Sha256 } from '../../domain/ledger/merkle.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operator-admin.ts';
import { anchorOf } from './proofs.ts';
import { type EntryRow, findEntry, findOpening, namesOf, type WholeEntry } from './search-queries.ts';

type Shown = Result<OperatorToAdmin, 'ledger.show'>;
type Field = Shown['fields'][number];
type Shape = { readonly says: string; readonly edge?: readonly string[] };

const sha256: Sha256 = (data) => hash('sha256', data, 'buffer');
const shapes: Readonly<Record<string, Shape>> = entryKinds;

export const entryOf = (row: EntryRow): Result<OperatorToAdmin, 'ledger.search'>['entries'][number] => ({
  ...row,
  at: row.at.toISOString(),
});

function fieldsOf(entry: PlacedEntry): Field[] {
  const edge = shapes[entry.kind]?.edge ?? [];
  const fields: Field[] = [];
  for (const [name, { class: of, observer }] of Object.entries(columns)) {
    const value = entry[name as keyof typeof columns];
    if (value !== null) fields.push({ name, value: String(value), class: of, observer: observer === 'edge' ? 'edge' : entry.observer });
  }
  for (const [of, text] of [
    ['public', entry.publicText],
    ['sensitive', entry.sensitiveText],
  ] as const)
    for (const [name, value] of Object.entries(JSON.parse(text) as Record<string, unknown>))
      fields.push({
        name,
        value: typeof value === 'string' ? value : JSON.stringify(value),
        class: of,
        observer: edge.includes(name) ? 'edge' : entry.observer,
      });
  return fields;
}

/** Whether the fields give the leaf that stands in the tree of the newest checkpoint; a word when it cannot be told. */
async function proofOf(tx: Transaction, { placed, salt }: WholeEntry): Promise<Shown['proof']> {
  const leaf = Buffer.from(leafHash(sha256, leafData(sha256, placed, salt)));
  const place = { tree: placed.tree, position: placed.position };
  try {
    const anchor = await anchorOf(tx, placed.tree);
    if (anchor === undefined) return { ...place, isProved: false, isWitnessed: false, text: 'its tree has no checkpoint' };
    const path = (await anchor.path(placed.position)).map((one) => Buffer.from(one, 'base64'));
    const line = anchor.head.text.split('\n').find((one) => one.startsWith(`${placed.tree} `));
    const root = Buffer.from(line?.split(' ')[2] ?? '', 'base64');
    const isProved = verifyAuditPath(leaf, placed.position, anchor.tree.size, path, root);
    const isWitnessed = isProved && anchor.head.position < anchor.witnessedSize;
    const text = isProved
      ? `it is what was sealed${isWitnessed ? ', and the newest checkpoint of its tree is witnessed' : '; the witness does not have the newest checkpoint yet'}`
      : 'IT IS NOT WHAT WAS SEALED: verify the whole record (cofferctl ledger verify)';
    return { ...place, isProved, isWitnessed, text };
  } catch (error) {
    if (error instanceof CofferdamError && error.code === 'conflict')
      return { ...place, isProved: false, isWitnessed: false, text: error.message };
    throw error;
  }
}

export function showEntry(database: Database, number: number): Promise<Shown> {
  const options = { timeoutMs: 25_000, workMemory: '256MB', signal: new AbortController().signal } as const;
  return database.withSnapshot(options, async (tx) => {
    const found = await findEntry(tx, number);
    if (found === undefined)
      throw new CofferdamError('not-found', `there is no entry ${number} in the database: see \`cofferctl ledger status\``);
    const { placed } = found;
    const opening = placed.session === null || placed.kind === 'session.opened' ? undefined : await findOpening(tx, placed.session);
    return {
      number,
      at: new Date(placed.at / 1000).toISOString(),
      kind: placed.kind,
      says: shapes[placed.kind]?.says ?? 'a kind that this version does not know',
      observer: placed.observer,
      names: await namesOf(tx, placed),
      fields: fieldsOf(placed),
      opening: opening === undefined ? null : entryOf(opening),
      proof: await proofOf(tx, found),
    };
  });
}
