// Owns: what a customer is shown of an incident: every entry of its tree between two checkpoints, public fields only,
// and which of them the incident concerns.
// Must never: show a sensitive field or an entry of another customer, or leave out an entry between the two checkpoints.
import { hash } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { classDigest, publicArray, sensitiveArray } from '../../domain/ledger/leaf.ts';
import type { Snapshot } from '../../postgres/snapshot.ts';
import { type Anchor, type EpochAnchors, frontierAt } from '../ledger/proofs.ts';
import type { Chosen } from './selection-queries.ts';
import { extentOf, pageOfSlice, timesOf } from './slice-queries.ts';

const sha256 = (data: Uint8Array): Buffer => hash('sha256', data, 'buffer');
const pageRows = 2000;

const micros = (instant: string): number => Date.parse(instant) * 1000;
const shown = (at: number): string => new Date(at / 1000).toISOString();

/**
 * Returns what the slice is about, in words that reveal nothing internal and nothing about another customer. What the
 * operator searched for is not named.
 */
function subjectOf({ since, until }: Chosen, now: number): string {
  const end = until === null ? shown(now) : shown(micros(until));
  return since === null ? `what happened up to ${end} (UTC)` : `what happened from ${shown(micros(since))} to ${end} (UTC)`;
}

type Ends = { readonly from: Anchor | undefined; readonly to: Anchor; readonly subject: string };

/**
 * Returns the epochs between which every entry lies that the scope concerns, or undefined when the customer has no
 * tree. Throws `conflict` when the newest of these entries are in no witnessed epoch yet.
 */
async function endsOf(tx: Snapshot, anchors: EpochAnchors, chosen: Chosen, customer: string): Promise<Ends | undefined> {
  const { first, now } = await timesOf(tx, chosen, customer);
  const newest = await anchors.find(tx, null);
  if (newest === undefined)
    throw new CofferdamError('conflict', 'no head of the record that names all trees has its witness yet: ask again in a moment');
  const to = await newest.of(customer);
  if (to === undefined) {
    if (first !== null) throw tooNew();
    return undefined;
  }
  const begins = chosen.since === null ? first : micros(chosen.since);
  const before = begins === null ? undefined : await anchors.find(tx, begins);
  return { from: await before?.of(customer), to, subject: subjectOf(chosen, now) };
}

const tooNew = (): CofferdamError =>
  new CofferdamError(
    'conflict',
    'the newest entries that this is about are not in an epoch of the record yet: `cofferctl incident pack` begins one',
  );

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
  const { from, to, subject } = ends;
  const [first, end] = [from?.tree.size ?? 0, to.tree.size];
  const { within, behind } = await extentOf(tx, chosen, customer, first, end);
  if (behind > 0) throw tooNew();
  const frontier = from === undefined ? [] : await frontierAt(tx, customer, first);
  onRow({
    slice: {
      version: 2,
      customer,
      says: within > 0 ? 'affected' : 'not-affected',
      subject,
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
    for (const { salt, selected, ...entry } of rows) {
      if (entry.position !== next) throw notOnline();
      onRow({
        // The first element is the label of the hash and is left out, because it is the same for every entry.
        shown: publicArray(entry).slice(1),
        salt: salt.subarray(0, 16).toString('hex'),
        sensitive: Buffer.from(classDigest(sha256, salt.subarray(16), sensitiveArray(entry))).toString('hex'),
        selected,
      });
      next += 1;
    }
  }
}

const notOnline = (): CofferdamError =>
  new CofferdamError('conflict', "part of this customer's record is in an archive: it cannot be shown as a whole from here");
