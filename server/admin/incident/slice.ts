// Owns: what a customer is shown of an incident: every entry of its tree between two heads that enclose the window
// asked for, public fields only, and which of them the incident concerns.
// Must never: show a sensitive field or an entry of another customer, leave out an entry between the two heads, or pass
// off two heads as enclosing a window that they do not enclose.
import { hash } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { classDigest, publicArray, sensitiveArray } from '../../domain/ledger/leaf.ts';
import { aheadDays } from '../../domain/ledger/sealable.ts';
import type { Snapshot } from '../../postgres/snapshot.ts';
import { blocksOf, leavesOf } from '../ledger/proof-queries.ts';
import { type Anchor, type EpochAnchors, frontierAt, TreeProofs } from '../ledger/proofs.ts';
import { beginOf, type Chosen } from './selection-queries.ts';
import { namingEntry, pageOfSlice, type SliceEntry, selectedCounts } from './slice-queries.ts';

const sha256 = (data: Uint8Array): Buffer => hash('sha256', data, 'buffer');
const pageRows = 2000;
const dayMicros = 86_400_000_000;

/** Returns an instant in microseconds since 1970. A finer one is rounded by `round` to whole milliseconds. */
const micros = (instant: string, round: 'down' | 'up' = 'down'): number => {
  const milliseconds = Date.parse(instant);
  return (milliseconds + (round === 'up' && /\.\d{3}0*[1-9]/.test(instant) ? 1 : 0)) * 1000;
};

type Ends = {
  readonly from: Anchor | undefined;
  readonly to: Anchor;
  readonly begin: number | null;
  readonly end: number;
};

/**
 * Returns the window asked for and the epochs that enclose it, or undefined when the customer has no tree. Throws
 * `conflict` when no witnessed epoch ends it yet. Without a beginning the window is everything, from the first entry
 * on.
 */
async function endsOf(
  tx: Snapshot,
  anchors: EpochAnchors,
  chosen: Chosen,
  customer: string,
): Promise<Ends | undefined> {
  const [asked, end] = [beginOf(chosen), micros(chosen.until, 'up')];
  const begin = asked === null ? null : micros(asked);
  const newest = await anchors.find(tx, null);
  if (newest === undefined)
    throw new CofferdamError(
      'conflict',
      'no head of the record that names all trees has its witness yet: ask again in a moment',
    );
  if (newest.at < end) throw tooNew();
  const to = await newest.of(customer);
  if (to === undefined) return undefined;
  const before = begin === null ? undefined : await anchors.find(tx, begin);
  return { from: await before?.of(customer), to, begin, end };
}

const tooNew = (): CofferdamError =>
  new CofferdamError(
    'conflict',
    'the end of the window that this is about is in no witnessed epoch of the record yet: `cofferctl incident pack` begins one',
  );

const outside = (): CofferdamError =>
  new CofferdamError(
    'conflict',
    'entries of the window were sealed long before it began: no slice can enclose it. Find out who changed the clock or the record',
  );

type NameProof = {
  readonly shown: readonly unknown[];
  readonly salt: string;
  readonly sensitive: string;
  readonly path: readonly string[];
};

/** Returns what a customer is shown of an entry: its public fields, and a digest of the others. */
function shownOf({ salt, selected: _selected, ...entry }: SliceEntry): Omit<NameProof, 'path'> {
  return {
    // The first element is the label of the hash and is left out, because it is the same for every entry.
    shown: publicArray(entry).slice(1),
    salt: salt.subarray(0, 16).toString('hex'),
    sensitive: Buffer.from(classDigest(sha256, salt.subarray(16), sensitiveArray(entry))).toString('hex'),
  };
}

/**
 * Calls `onRow` with each line of a slice as a value (docs/reference/ledger-format.md). There are none when the
 * customer has no tree.
 */
export async function writeSlice(
  tx: Snapshot,
  anchors: EpochAnchors,
  chosen: Chosen,
  customer: string,
  onRow: (row: unknown) => void,
): Promise<void> {
  const ends = await endsOf(tx, anchors, chosen, customer);
  if (ends === undefined) return;
  const { to, begin, end: until } = ends;
  const end = to.tree.size;
  let { from } = ends;
  let counts = await selectedCounts(tx, chosen, customer, from?.tree.size ?? 0, end);
  if (counts.before > 0 && begin !== null) {
    // An entry of the window was written by a clock that was ahead. No entry is further ahead of its head than
    // `aheadDays`.
    const earlier = await anchors.find(tx, Math.max(0, begin - aheadDays * dayMicros));
    from = await earlier?.of(customer);
    counts = await selectedCounts(tx, chosen, customer, from?.tree.size ?? 0, end);
  }
  const { before, within, behind } = counts;
  if (behind > 0) throw tooNew();
  if (before > 0) throw outside();
  const first = from?.tree.size ?? 0;
  const frontier = from === undefined ? [] : await frontierAt(tx, customer, first);
  onRow({
    slice: {
      version: 3,
      customer,
      begin,
      end: until,
      says: within > 0 ? 'affected' : 'not-affected',
      subject: chosen.subject,
      from: from ?? null,
      frontier,
      to,
      entries: end - first,
      selected: within,
    },
  });
  for (let next = first; next < end; ) {
    const rows = await pageOfSlice(tx, chosen, customer, next, end, pageRows);
    if (rows.length === 0) throw notOnline();
    for (const row of rows) {
      if (row.position !== next) throw notOnline();
      onRow({ ...shownOf(row), selected: row.selected });
      next += 1;
    }
  }
}

/**
 * Returns the last entry by which the customer got a name, with its audit path in the customer's tree of that size, or
 * undefined when it cannot be proved from here. The customer's name is what this entry says, whatever the catalogue
 * says.
 */
export async function nameProof(tx: Snapshot, customer: string, size: number): Promise<NameProof | undefined> {
  const entry = await namingEntry(tx, customer, size);
  if (entry === undefined) return undefined;
  try {
    const tree = await TreeProofs.load(size, await blocksOf(tx, customer, size), (first, end) =>
      leavesOf(tx, customer, first, end),
    );
    const path = (await tree.path(entry.position)).map((one) => Buffer.from(one).toString('base64'));
    const { shown, salt, sensitive } = shownOf(entry);
    return { shown, salt, sensitive, path };
  } catch (error) {
    // What an archive holds cannot be proved from here.
    if (error instanceof CofferdamError && error.code === 'conflict') return undefined;
    throw error;
  }
}

const notOnline = (): CofferdamError =>
  new CofferdamError(
    'conflict',
    "part of this customer's record is in an archive: it cannot be shown as a whole from here; name a later time (--since)",
  );
