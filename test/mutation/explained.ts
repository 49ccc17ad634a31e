// Owns: slips that no test can catch, because the program does the same with them, or because what they change is
// nobody's promise; each with its reason.
// Must never: have an entry for what a test could show. A name that no slip has any longer is stale, and fails
// test/house/slips.

export type Explained = {
  readonly file: string;
  readonly why: string;
  /** As `npm run mutate` prints them. */
  readonly slips: readonly string[];
};

/** Names of explanations, in the files that were examined, that no slip has. */
export function staleIn(
  all: readonly Explained[],
  slips: readonly { readonly file: string; readonly name: string }[],
  files: readonly string[],
): readonly string[] {
  const there = new Set(slips.map(({ file, name }) => `${file}: ${name}`));
  return all
    .filter(({ file }) => files.includes(file))
    .flatMap(({ file, slips: names }) => names.map((name) => `${file}: ${name}`))
    .filter((one) => !there.has(one));
}

const noSalt =
  'HMAC fills a short key with zeros: a salt of one zero byte is the empty salt (RFC 2104, RFC 5869 section 2.2).';

export const explained: readonly Explained[] = [
  {
    file: 'server/domain/incident/matching.ts',
    why: 'A name without an id would stand under a key that is no text, and every key that is looked for is one.',
    slips: ['if (⟦key !== undefined → true⟧) put(index, key, position);'],
  },
  {
    file: 'server/domain/incident/matching.ts',
    why: 'A network of exactly this length has the key of what is kept, and is left out for that.',
    slips: ['if (bits ⟦> → >=⟧ strangersBits && net !== prefixKey(bytes, bits)) put(index, net, position);'],
  },
  {
    file: 'server/domain/ledger/written.ts',
    why: 'Whether two values are the same does not depend on which of them is named first.',
    slips: [
      'names.every((name) => Object.hasOwn(theirs, name) && isSameJson(⟦mine[name], theirs[name] → theirs[name], mine[name]⟧))',
      'return isSameJson(⟦JSON.parse(sent), JSON.parse(written) → JSON.parse(written), JSON.parse(sent)⟧);',
      "if (column === 'public' || column === 'sensitive') return isSameObject(⟦String(sent ?? '{}'), String(written) → String(written), String(sent ?? '{}')⟧);",
    ],
  },
  {
    file: 'server/domain/ledger/map.ts',
    why: 'An empty node has no tree, so that its tree is not the one that is asked for either.',
    slips: [
      "if (⟦node.is === 'empty' || node.tree !== tree → (node.tree !== tree)⟧) return undefined;",
      "if (node.is === ⟦'empty' → ''⟧ || node.tree !== tree) return undefined;",
    ],
  },
  {
    file: 'server/domain/ledger/sealable.ts',
    why: 'Only to save time: what is not measured is far from the limit, whatever stands in it.',
    slips: [
      '⟦(publicText.length + sensitiveText.length) * 7 > textBytesMax && lineBytes(publicText) + lineBytes(sensitiveText) > textBytesMax → (lineBytes(publicText) + lineBytes(sensitiveText) > textBytesMax)⟧;',
      '(publicText.length + sensitiveText.length) * 7 ⟦> → >=⟧ textBytesMax &&',
      '(publicText.length + sensitiveText.length) * ⟦7 → 8⟧ > textBytesMax &&',
      '(publicText.length + sensitiveText.length) * ⟦7 → 6⟧ > textBytesMax &&',
    ],
  },
  {
    file: 'server/edge/sftp/codec.ts',
    why: 'At the largest exact number both branches give that number.',
    slips: ['return value ⟦> → >=⟧ BigInt(beyondEveryFile) ? beyondEveryFile : Number(value);'],
  },
  {
    file: 'server/extents/extent-key.ts',
    why: noSalt,
    slips: ["return Buffer.from(hkdfSync('sha256', fileKey, Buffer.alloc(⟦0 → 1⟧), context, 32));"],
  },
];
