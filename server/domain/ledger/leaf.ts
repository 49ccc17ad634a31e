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

/** What may be shown to the customer whom it concerns, in the order in which it is hashed. */
export const publicArray = (e: PlacedEntry): readonly (string | number | null)[] => [
  'cofferdam ledger public/1',
  e.tree,
  e.position,
  e.number,
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
  'cofferdam ledger sensitive/1',
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

export type Grown = { readonly tree: string; readonly size: number; readonly root: string };

/** One line for each tree that grew, by name: as it stands in the database and in a head. `root` in base64. */
export const headLines = (grown: readonly Grown[]): string =>
  [...grown]
    .sort((a, b) => (a.tree < b.tree ? -1 : 1))
    .map(({ tree, size, root }) => `${tree} ${size} ${root}\n`)
    .join('');

/** The data of a leaf of the heads log. `at`: microseconds since 1970; `number`: of the last entry sealed so far. */
export const headText = (position: number, at: number, number: number, lines: string): string =>
  `cofferdam ledger head/1\n${position}\n${at}\n${number}\n${lines}`;
