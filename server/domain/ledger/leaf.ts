// Owns: how an entry of the record becomes the data of a leaf: two classes of fields, each behind a salted digest (docs/reference/ledger-format.md).
// Must never: change what it writes for a given entry. Every sealed entry would look altered.
import type { Sha256 } from './merkle.ts';

/** An entry with its place. Absent values are null; instants are microseconds since 1970. */
export type PlacedEntry = {
  readonly tree: string;
  readonly position: number;
  readonly number: number;
  readonly at: number;
  readonly kind: string;
  readonly observer: string;
  readonly customer: string | null;
  readonly account: string | null;
  readonly session: string | null;
  readonly node: string | null;
  readonly plane: string | null;
  readonly handle: string | null;
  readonly version: string | null;
  readonly extent: number | null;
  readonly bytes: number | null;
  /** JSON as the database shows it. */
  readonly publicText: string;
  readonly credential: string | null;
  readonly alsoCredential: string | null;
  readonly source: string | null;
  readonly sourcePort: number | null;
  readonly client: string | null;
  readonly operator: string | null;
  readonly sensitiveText: string;
};

/** The tree of what belongs to no customer, and the log of heads. */
export const commonTree = '00000000-0000-0000-0000-000000000000';
export const headsTree = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
/** Random bytes of one entry: half for each class. */
export const saltBytes = 32;

/** What may be shown to the customer whom it concerns, in the order in which it is hashed. The number is not: it tells how much happens beside the customer. */
export const publicArray = (e: PlacedEntry): readonly (string | number | null)[] => [
  'cofferdam ledger public/2',
  e.tree,
  e.position,
  e.at,
  e.kind,
  e.observer,
  e.customer,
  e.account,
  e.session,
  e.node,
  e.plane,
  e.handle,
  e.version,
  e.extent,
  e.bytes,
  e.publicText,
];
export const sensitiveArray = (e: PlacedEntry): readonly (string | number | null)[] => [
  'cofferdam ledger sensitive/2',
  e.number,
  e.credential,
  e.alsoCredential,
  e.source,
  e.sourcePort,
  e.client,
  e.operator,
  e.sensitiveText,
];

const encoder = new TextEncoder();

export function classDigest(sha256: Sha256, salt: Uint8Array, array: readonly (string | number | null)[]): Uint8Array {
  const text = encoder.encode(JSON.stringify(array));
  const data = new Uint8Array(salt.length + text.length);
  data.set(salt);
  data.set(text, salt.length);
  return sha256(data);
}

/** Public digest, then sensitive digest: 64 bytes. */
export function leafData(sha256: Sha256, entry: PlacedEntry, salt: Uint8Array): Uint8Array {
  const data = new Uint8Array(64);
  data.set(classDigest(sha256, salt.subarray(0, saltBytes / 2), publicArray(entry)));
  data.set(classDigest(sha256, salt.subarray(saltBytes / 2), sensitiveArray(entry)), 32);
  return data;
}

/** A tree as it stands in a head: how many entries it has, and its root in base64. */
export type Grown = { readonly tree: string; readonly size: number; readonly root: string };

/** What the database keeps of a head beside its text: one line for each tree that grew, or for every tree at the beginning of an epoch, in the order of their names. */
export const headLines = (grown: readonly Grown[]): string =>
  [...grown]
    .sort((a, b) => (a.tree < b.tree ? -1 : 1))
    .map(({ tree, size, root }) => `${tree} ${size} ${root}\n`)
    .join('');

const lineShape = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) ([1-9]\d{0,15}) ([A-Za-z0-9+/]{43}=)$/;

/** The trees of such lines; undefined: these are no lines of a head. */
export function parseHeadLines(lines: string): readonly Grown[] | undefined {
  if (lines === '') return [];
  if (!lines.endsWith('\n')) return undefined;
  const trees: Grown[] = [];
  for (const line of lines.slice(0, -1).split('\n')) {
    const [, tree, size, root] = lineShape.exec(line) ?? [];
    if (tree === undefined || root === undefined || tree <= (trees.at(-1)?.tree ?? '')) return undefined;
    trees.push({ tree, size: Number(size), root });
  }
  return trees;
}

/** The data of a leaf of the heads log. `at`: microseconds since 1970; `mapRoot` and `commitment` in base64. */
export const headText = (position: number, at: number, mapRoot: string, commitment: string): string =>
  `cofferdam ledger head/2\n${position}\n${at}\n${mapRoot}\n${commitment}\n`;

/** The commitment of a head to the number of the last entry that was sealed with it or before it. 32 bytes. */
export function numberCommitment(sha256: Sha256, secret: Uint8Array, position: number, number: number): Uint8Array {
  const label = encoder.encode('cofferdam ledger number/2');
  const data = new Uint8Array(label.length + secret.length + 16);
  data.set(label);
  data.set(secret, label.length);
  const view = new DataView(data.buffer);
  view.setBigUint64(label.length + secret.length, BigInt(position));
  view.setBigUint64(label.length + secret.length + 8, BigInt(number));
  return sha256(data);
}
