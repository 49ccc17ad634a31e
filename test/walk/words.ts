// Owns: what a compromised edge may state, as data: for every operation of the table, by the forms of its parameters. A
// new operation is walked without anybody adding it.
import fc from 'fast-check';
import { edgeToWarden } from '../../server/rpc/edge-warden.ts';
import { edgeWords } from '../../server/rpc/edge-words.ts';
import { extremes } from '../support/extremes.ts';

/**
 * Whose a value is: what it names belongs to the session of the walk, to another one on the same edge (of the same
 * account, of another bank, or one that may only enrol), to a session of another node, to one that is over, or to
 * nobody.
 */
export type Whose = 'mine' | 'sibling' | 'other' | 'foreign' | 'enrolling' | 'ended' | 'made-up';
export type Said =
  /** A value of the list, the `n`th of those that can stand in its place. */
  | { readonly word: string; readonly of: Whose; readonly n: number }
  | { readonly literal: unknown }
  | { readonly fields: Readonly<Record<string, Said>> }
  | { readonly items: readonly Said[] }
  /** An extent that was sealed as an edge seals it, or almost so. `isSmall`: the only one of a file that comes whole */
  | { readonly sealed: SealedHow; readonly of: Whose; readonly n: number; readonly isSmall: boolean }
  /** The proof of a key over the session identifier of a login that is under way. */
  | { readonly proof: Whose };
type SealedHow = (typeof sealedHows)[number];
/**
 * In the call, or put into the store: as it is said, shorter, said to be longer, or as another extent; or nothing was
 * put, and what the store said is invented, or was said of another object.
 */
const sealedHows = [
  ...['inline', 'inline', 'stored', 'stored', 'stored'],
  ...['short', 'long', 'next-index', 'invented', 'replayed'],
] as readonly ('inline' | 'stored' | 'short' | 'long' | 'next-index' | 'invented' | 'replayed')[];

type Node = { readonly def: { readonly type: string } & Readonly<Record<string, unknown>> };
const defOf = (schema: unknown): Node['def'] => (schema as Node).def;

export type Operation = keyof typeof edgeToWarden & string;
export const operations = Object.keys(edgeToWarden) as readonly Operation[];
const listed = new Map<unknown, string>(Object.entries(edgeWords).map(([name, schema]) => [schema, name]));

/** The place of the last name among those that somebody could mean (`resolve.ts`). */
export const lastPath = 20;

/** Racing calls are mostly about one thing; single calls use all kinds of values. */
export type Aim = 'one-thing' | 'anything';
const weights: Readonly<Record<Aim, Readonly<Record<Whose, number>>>> = {
  'one-thing': { mine: 88, sibling: 3, other: 2, foreign: 2, enrolling: 2, ended: 2, 'made-up': 1 },
  anything: { mine: 56, sibling: 9, other: 9, foreign: 10, enrolling: 4, ended: 6, 'made-up': 6 },
};
const whose = (aim: Aim): fc.Arbitrary<Whose> =>
  fc.oneof(...Object.entries(weights[aim]).map(([of, weight]) => ({ weight, arbitrary: fc.constant(of as Whose) })));
const place = fc.nat(63);

/**
 * One in this many values is impossible: an edge that often states such values loses its connection, and the walk is
 * about calls that are answered.
 */
const impossibleOneIn = 150;
const impossible: fc.Arbitrary<Said> = fc.constantFrom(...extremes).map((literal) => ({ literal }));
const orImpossible = (arbitrary: fc.Arbitrary<Said>): fc.Arbitrary<Said> =>
  fc.oneof({ weight: impossibleOneIn - 1, arbitrary }, { weight: 1, arbitrary: impossible });

function said(schema: unknown, aim: Aim): fc.Arbitrary<Said> {
  const word = listed.get(schema);
  if (word !== undefined) return orImpossible(fc.record({ word: fc.constant(word), of: whose(aim), n: place }));
  const def = defOf(schema);
  switch (def.type) {
    case 'object':
      return saidOfObject(def.shape as Readonly<Record<string, unknown>>, aim);
    case 'optional':
      throw new Error('an optional word stands in an object only');
    case 'union':
      return fc.oneof(...(def.options as readonly unknown[]).map((one) => said(one, aim)));
    case 'array':
      return fc.array(said(def.element, aim), { minLength: 1, maxLength: 3 }).map((items) => ({ items }));
    case 'literal':
      return fc.constantFrom(...(def.values as readonly unknown[])).map((literal) => ({ literal }));
    case 'enum':
      return fc.constantFrom(...Object.values(def.entries as object)).map((literal: unknown) => ({ literal }));
    case 'boolean':
      return fc.boolean().map((literal) => ({ literal }));
    default:
      throw new Error(`no words for a ${def.type}`);
  }
}

function saidOfObject(shape: Readonly<Record<string, unknown>>, aim: Aim): fc.Arbitrary<Said> {
  const optional = Object.keys(shape).filter((name) => defOf(shape[name]).type === 'optional');
  const required = Object.keys(shape).filter((name) => !optional.includes(name));
  const bare = (name: string): unknown => (optional.includes(name) ? defOf(shape[name]).innerType : shape[name]);
  const model = Object.fromEntries(Object.keys(shape).map((name) => [name, said(bare(name), aim)]));
  const plain = fc
    .record(model, { requiredKeys: required })
    .map((fields): Said => ({ fields: fields as Record<string, Said> }));
  const has = (...words: readonly (keyof typeof edgeWords)[]): boolean =>
    words.every((word) => Object.keys(shape).some((name) => bare(name) === edgeWords[word]));
  if (has('objectId', 'sealedBytes'))
    return fc.oneof({ weight: 9, arbitrary: sealed(aim, !has('index')) }, { weight: 1, arbitrary: plain });
  if (has('connection', 'username'))
    return fc.oneof({ weight: 1, arbitrary: plain }, { weight: 1, arbitrary: plain.chain(proved(aim)) });
  return plain;
}

const sealed = (aim: Aim, isSmall: boolean): fc.Arbitrary<Said> =>
  fc.record({
    // What comes whole has no place in the store.
    sealed: isSmall ? fc.constant<SealedHow>('inline') : fc.constantFrom<SealedHow>(...sealedHows),
    of: whose(aim),
    n: place,
    isSmall: fc.constant(isSmall),
  });

/** The same call, but its parts fit each other: connection, name and proof belong to one login. */
const proved =
  (aim: Aim) =>
  (plain: Said): fc.Arbitrary<Said> =>
    whose(aim).map((of) => {
      if (!('fields' in plain)) return plain;
      const changed = Object.entries(plain.fields).map(([name, one]): [string, Said] => {
        if ('word' in one && (one.word === 'connection' || one.word === 'username'))
          return [name, { ...one, of, n: 0 }];
        return [name, name === 'evidence' ? { proof: of } : one];
      });
      return { fields: Object.fromEntries(changed) };
    });

const table: Readonly<Record<string, { readonly params: unknown }>> = edgeToWarden;
/** With what this operation may be called. */
export const saying = (op: Operation, aim: Aim): fc.Arbitrary<Said> => sayingOf(table[op]?.params, aim);
/** What fits this form of parameters, or almost. */
export const sayingOf = (schema: unknown, aim: Aim): fc.Arbitrary<Said> => said(schema, aim);

/** Every value stated here that is `mine`: what must exist before it is stated. */
export function* wordsOf(one: Said): Generator<{ readonly word: string; readonly of: Whose }> {
  if ('word' in one) yield one;
  else if ('fields' in one) for (const field of Object.values(one.fields)) yield* wordsOf(field);
  else if ('items' in one) for (const item of one.items) yield* wordsOf(item);
  else if ('sealed' in one) yield { word: 'upload', of: one.of };
  else if ('proof' in one) yield { word: 'connection', of: one.proof };
}

/** Values of any kind, for a parameter for which nothing is listed: those of them that it can be. */
const anyValues: readonly unknown[] = [
  ...[1, 2, 10, 1000, 65_536, 1_000_000, 2 ** 31 - 1, 2 ** 32 - 1],
  ...['whoami', 'deposit', '127.0.0.1', '192.0.2.7', '2001:db8::1', 'ssh-ed25519'],
  ...['0123456789abcdef', '0f'.repeat(16), '0f'.repeat(32), '5f0c3c1e-6f4e-4d0b-9d53-0a1f6a2b7c8d', 'AAAAAAAA'],
];
export function possibleValues(word: string): readonly unknown[] {
  const schema = (edgeWords as Readonly<Record<string, { safeParse(value: unknown): { readonly success: boolean } }>>)[
    word
  ];
  const values = [...anyValues, ...extremes].filter((value) => schema?.safeParse(value).success === true);
  if (values.length === 0)
    throw new Error(`nothing of the list can be a ${word}: say in cast.ts what stands in its place`);
  return values;
}
