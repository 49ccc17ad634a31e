// Owns: `cofferctl ledger show`.
import { CofferdamError } from '../../server/domain/errors.ts';
import { columns, entryKinds } from '../../server/domain/ledger/entry-kinds.ts';
import type { LedgerRow } from '../../server/rpc/operators/ledger-entries.ts';
import { plain, when } from '../terminal/output.ts';
import { positional, type Verb } from '../verb/verb.ts';
import { type Checked, checkEntry, type ShownEntry } from './entry-proof.ts';

type Shape = {
  readonly says: string;
  readonly public?: readonly string[];
  readonly sensitive?: readonly string[];
  readonly edge?: readonly string[];
};
type Line = { readonly name: string; readonly value: string; readonly class: string; readonly observer: string };

const shapeOf = (kind: string): Shape | undefined =>
  Object.hasOwn(entryKinds, kind) ? entryKinds[kind as keyof typeof entryKinds] : undefined;
const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
/** Returns a name with the id that was recorded. */
const named = (name: string | null, id: string | null): string | null =>
  name === null || id === null ? id : `${name} (${id})`;

/**
 * Returns every field that the entry has, with its class and its observer. The observer of a value that an edge
 * reported is the edge, whoever wrote the entry.
 */
function linesOf(entry: LedgerRow): readonly Line[] {
  const { kind, observer } = entry;
  const shape = shapeOf(kind);
  const values = {
    ...entry,
    customer: named(entry.customer, entry.customerId),
    account: named(entry.account, entry.accountId),
  };
  const own = Object.entries(columns).flatMap(([name, column]): readonly Line[] => {
    const value = values[name as keyof typeof columns];
    return value === null
      ? []
      : [{ name, value: text(value), class: column.class, observer: column.observer === 'edge' ? 'edge' : observer }];
  });
  const further = (['public', 'sensitive'] as const).flatMap((name) =>
    Object.entries(entry[name]).map(
      ([field, value]): Line => ({
        name: field,
        value: text(value),
        class: shape?.[name]?.includes(field) === true ? name : `${name}, not classified`,
        observer: shape?.edge?.includes(field) === true ? 'edge' : observer,
      }),
    ),
  );
  return [...own, ...further];
}

const aligned = (lines: readonly Line[]): readonly string[] => {
  const width = Math.max(...lines.map((one) => one.name.length), 8);
  return lines.map(
    (one) => `  ${one.name.padEnd(width)}  ${plain(one.value)}  [${one.class}; reported by the ${one.observer}]`,
  );
};

function proofLines(shown: ShownEntry, checked: Checked): readonly string[] {
  const { hashed, proof, isWitnessed } = shown;
  const position = `tree ${hashed.tree}, position ${hashed.position}`;
  if (checked.is !== 'good')
    return [
      `Proof: ${checked.is === 'bad' ? 'IT IS NOT WHAT WAS SEALED' : 'none'}. ${position}: ${checked.text}.`,
      ...(checked.is === 'bad' ? ['Verify the whole record: cofferctl ledger verify'] : []),
    ];
  const { checkpoint } = checked;
  return [
    'Proof: this entry is what was sealed (computed here)',
    `  position    ${position} of ${proof?.tree.size}`,
    `  head        ${proof?.head.position} of ${checkpoint.size}`,
    `  checkpoint  ${when(new Date(checkpoint.time).toISOString())}, era ${checkpoint.era}, ${checkpoint.size} heads, signed by a key that the gateway names as its own`,
    `  witnessed   ${isWitnessed ? 'yes: by every required witness' : 'not yet, as far as the gateway knows'}`,
    '  The gateway named the key: cofferctl ledger verify --key compares the whole record with the witness and the key that you noted.',
  ];
}

export const ledgerShow: Verb = {
  words: ['ledger', 'show'],
  positionals: ['NUMBER'],
  options: [],
  help: 'Everything of one entry: its fields with class and observer, its session, and its proof, which is computed here.',
  example: 'cofferctl ledger show 4711',
  operations: ['ledger.show'],
  run: async (client, given) => {
    const number = positional(given, 0);
    if (!/^[1-9]\d{0,14}$/.test(number)) throw new RangeError(`entries have numbers such as 4711, not "${number}"`);
    const shown = await client.call('ledger.show', { number: Number(number) });
    if (shown.entry.number !== Number(number))
      throw new CofferdamError('corrupt', 'the gateway answered with another entry');
    const { entry, file, opened } = shown;
    const checked = checkEntry(shown);
    const fields = linesOf(entry);
    const session =
      opened === null || opened.number === entry.number ? [] : linesOf(opened).filter((one) => one.name !== 'session');
    const lines = [
      `Entry ${entry.number}: ${plain(entry.kind)} (${shapeOf(entry.kind)?.says ?? 'a kind that this version does not know'})`,
      `  at ${entry.at}, recorded by the ${plain(entry.observer)}`,
      ...(file === null ? [] : [`  file ${plain(file.path)}, version ${file.number}`]),
      '',
      ...aligned(fields),
      ...(session.length === 0
        ? []
        : ['', `Its session began with entry ${opened?.number} at ${opened?.at}:`, ...aligned(session)]),
      '',
      ...proofLines(shown, checked),
    ];
    const proof = checked.is === 'good' ? { is: checked.is } : checked;
    return {
      data: { ...shown, fields, proof: shown.proof, checked: proof },
      text: `${lines.join('\n')}\n`,
      isFault: checked.is === 'bad',
    };
  },
};
