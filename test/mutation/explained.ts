// Owns: slips that no test can catch, because the program does the same with them, or what they change is nobody's promise; each with its reason.
// Must never: hold what a test could show. A name that no slip has any longer is stale, and fails test/house/slips.

export type Explained = {
  readonly file: string;
  readonly why: string;
  /** As `npm run mutate` prints them. */
  readonly slips: readonly string[];
};

/** Names of explanations, in the files that were looked at, that no slip has. */
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

const noSalt = 'HMAC fills a short key with zeros: a salt of one zero byte is the empty salt (RFC 2104, RFC 5869 section 2.2).';

export const explained: readonly Explained[] = [
  {
    file: 'server/edge/sftp/codec.ts',
    why: 'At the largest exact number both branches give that number.',
    slips: ['return value ⟦> → >=⟧ BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);'],
  },
  {
    file: 'server/extents/extent-key.ts',
    why: noSalt,
    slips: ["return Buffer.from(hkdfSync('sha256', fileKey, Buffer.alloc(⟦0 → 1⟧), context, 32));"],
  },
  {
    file: 'server/warden/keys/key-ring.ts',
    why: noSalt,
    slips: [
      "const rowKey = new Secret(Buffer.from(hkdfSync('sha256', master.key.reveal(), Buffer.alloc(⟦0 → 1⟧), 'cofferdam/row-seal/1', 32)));",
    ],
  },
];
