// Owns: how an entry of the record becomes the data of a leaf: two classes of fields, each behind a salted digest
// (docs/reference/ledger-format.md).
// Must never: change the bytes that it writes for a given entry. Every sealed entry would look altered.
import type { Sha256 } from './merkle.ts';

/** An entry with its position in its tree. Absent values are null; `at` is in microseconds since 1970. */
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
  /** The public fields as JSON, as the database writes it. */
  readonly publicText: string;
  readonly credential: string | null;
  readonly alsoCredential: string | null;
  readonly source: string | null;
  readonly sourcePort: number | null;
  readonly client: string | null;
  readonly operator: string | null;
  readonly sensitiveText: string;
};

/** The names of the tree of entries that belong to no customer, and of the heads log. */
export const commonTree = '00000000-0000-0000-0000-000000000000';
export const headsTree = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
/** The number of random bytes of one entry: half of them for each class. */
export const saltBytes = 32;

/**
 * Returns the fields that may be shown to the customer whom the entry concerns, in the order in which they are hashed.
 * The entry's number is not among them, because it tells how much happens at other customers.
 */
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

/** Returns the public digest followed by the sensitive digest: 64 bytes. */
export function leafData(sha256: Sha256, entry: PlacedEntry, salt: Uint8Array): Uint8Array {
  const data = new Uint8Array(64);
  data.set(classDigest(sha256, salt.subarray(0, saltBytes / 2), publicArray(entry)));
  data.set(classDigest(sha256, salt.subarray(saltBytes / 2), sensitiveArray(entry)), 32);
  return data;
}

/** A tree as a head commits to it: the number of its entries, and its root in base64. */
export type Grown = { readonly tree: string; readonly size: number; readonly root: string };

/**
 * Returns the lines that the database keeps of a head beside its text: one for each tree that grew, or for every tree
 * at the beginning of an epoch, sorted by the names of the trees.
 */
export const headLines = (grown: readonly Grown[]): string =>
  grown
    .map(({ tree, size, root }) => `${tree} ${size} ${root}\n`)
    .sort()
    .join('');

const lineShape = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) ([1-9]\d{0,15}) ([A-Za-z0-9+/]{43}=)$/;

/** Returns the trees of such lines, or undefined when the text does not have their form. */
export function parseHeadLines(lines: string): readonly Grown[] | undefined {
  if (lines === '') return [];
  if (!lines.endsWith('\n')) return undefined;
  const trees: Grown[] = [];
  for (const line of lines.slice(0, -1).split('\n')) {
    const [, tree = '', size, root = ''] = lineShape.exec(line) ?? [];
    if (tree <= (trees.at(-1)?.tree ?? '')) return undefined;
    trees.push({ tree, size: Number(size), root });
  }
  return trees;
}

/**
 * Returns the data of a leaf of the heads log. `at` is in microseconds since 1970; `mapRoot` and `commitment` are
 * base64.
 */
export const headText = (position: number, at: number, mapRoot: string, commitment: string): string =>
  `cofferdam ledger head/2\n${position}\n${at}\n${mapRoot}\n${commitment}\n`;

/** Returns the commitment of a head to the number of the last entry that was sealed with it or before it: 32 bytes. */
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
