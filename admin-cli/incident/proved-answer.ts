// Owns: verifying on the operator's side by which signed heads an answer was proved, before anything is written by it.
// Must never: let an answer pass that nobody proved, or one whose head is in no checkpoint of the given keys and
// witnesses.

import { countText } from '../../server/domain/budgets/amounts.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import type { IncidentSummary, ProvedRecord } from '../../server/rpc/operators/incident.ts';
import {
  fromBase64,
  leafHash,
  parseNote,
  parseVerifierKey,
  readWitness,
  verifyAuditPath,
  verifyNote,
} from '../../verifier/index.js';
import type { Checking } from './slice-check.ts';

const refused = (why: string): CofferdamError =>
  new CofferdamError(
    'corrupt',
    `the answer is not proved by the record that was signed: ${why}. Give nobody anything of this; see \`cofferctl ledger verify\` and verify the record from another machine`,
  );

type Head = ProvedRecord['head'];
type Note = ReturnType<typeof parseNote>;

/** Returns the checkpoint, which one of the keys has signed and which the witnesses have, when there are any. */
async function believed(checkpoint: string, { keys, witnesses }: Checking): Promise<Note> {
  const parsed = keys.map(parseVerifierKey);
  let note: Note;
  try {
    note = parseNote(checkpoint);
  } catch {
    throw refused('the gateway gave a text that is no checkpoint');
  }
  const why = verifyNote(note, parsed);
  if (why !== undefined) throw refused(`the checkpoint of size ${note.size} is not to be believed: ${why}`);
  if (witnesses.length === 0) return note;
  const witness = await readWitness(witnesses, parsed);
  const [first] = witness.findings.list;
  if (first !== undefined) throw refused(first.text);
  const standing = witness.has(note);
  if (standing === 'abandoned') throw refused(`the checkpoint of size ${note.size} was abandoned`);
  if (standing === 'no')
    throw refused(`the checkpoint of size ${note.size} is not in the witness; when that is a copy, bring a newer one`);
  return note;
}

/** Returns when the head was sealed, in microseconds since 1970. */
function sealedAt({ position, text, proof }: Head, note: Note): number {
  const path = proof.map((one) => fromBase64(one, 32)).filter((one) => one !== undefined);
  const [label, at, time] = text.split('\n');
  const isIn =
    path.length === proof.length &&
    label === 'cofferdam ledger head/2' &&
    at === String(position) &&
    verifyAuditPath(leafHash(Buffer.from(text)), position, note.size, path, note.root);
  if (!isIn) throw refused(`head ${position} does not lead to the checkpoint of size ${note.size}`);
  return Number(time);
}

/** Throws `corrupt` unless the answer was proved by heads that were signed, and that begin before its window. */
export async function requireProved({ proved, window }: IncidentSummary, checking: Checking): Promise<void> {
  if (proved === null) throw refused('nobody proved it');
  const note = await believed(proved.checkpoint, checking);
  const to = sealedAt(proved.head, note);
  if (proved.from === null) return;
  const from = sealedAt(proved.from, note);
  const isBefore = window.since !== null && from <= Date.parse(window.since) * 1000;
  if (!isBefore || from > to) throw refused('what was proved begins after the window that was asked for');
}

/** Says what an answer was proved by, in one sentence. */
export function provedText({ proved, record }: IncidentSummary): string {
  if (proved === null)
    return 'Not proved: what the database says is believed here. `incident pack` and `incident assure` prove it before they write anything.';
  const { entries, trees, archived, from, tookMs, head } = proved;
  const seconds = (tookMs / 1000).toFixed(1);
  const rate = countText(Math.round(entries / Math.max(tookMs / 1000, 0.001)));
  return [
    `Proved: ${countText(entries)} entries of ${countText(trees)} trees, ${from === null ? 'from the first one on' : `all that were sealed after head ${from.position}`}, lead to head ${head.position} (${seconds} s, ${rate} a second).`,
    ...(archived === 0 ? [] : [`${countText(archived)} more are in archives, of which this answer knows nothing.`]),
    ...(record.unsealed === 0 ? [] : [`${countText(record.unsealed)} had no seal yet, and are believed.`]),
  ].join(' ');
}
