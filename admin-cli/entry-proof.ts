// Owns: checking the proof of one entry here, with what was shown: fields to leaf, leaf to its tree's root, that to the head, that to the checkpoint, and its
// signature.
// Must never: take the gateway's word for any step but the verifier key.
import { leafData, type PlacedEntry } from '../server/domain/ledger/leaf.ts';
import type { Result } from '../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../server/rpc/operator-admin.ts';
import {
  leafHash,
  type Note,
  parseHeadLines,
  parseNote,
  parseVerifierKey,
  sha256,
  verifyAuditPath,
  verifyNote,
} from '../verifier/index.js';

export type ShownEntry = Result<OperatorToAdmin, 'ledger.show'>;
export type Checked = { readonly is: 'good'; readonly checkpoint: Note } | { readonly is: 'bad' | 'none'; readonly text: string };

const bytes = (text: string): Buffer => Buffer.from(text, 'base64');

function placed({ entry, hashed }: ShownEntry): PlacedEntry {
  return { ...entry, ...hashed, number: entry.number ?? 0, customer: entry.customerId, account: entry.accountId };
}

/** The texts that were hashed must say what was shown. */
function saysTheSame({ entry, hashed }: ShownEntry): boolean {
  const same = (text: string, shown: unknown): boolean => JSON.stringify(JSON.parse(text)) === JSON.stringify(shown);
  const [seconds, micros] = [Date.parse(`${entry.at.slice(0, 19)}Z`), Number(entry.at.slice(20, 26))];
  return same(hashed.publicText, entry.public) && same(hashed.sensitiveText, entry.sensitive) && seconds * 1000 + micros === hashed.at;
}

/** Of this tree and size, by the head's text; undefined: it does not name it so. */
function rootIn(head: string, tree: string, size: number): Buffer | undefined {
  const [, lines] = /^cofferdam ledger head\/1\n\d+\n\d+\n\d+\n([\s\S]+)$/.exec(head) ?? [];
  return lines === undefined ? undefined : parseHeadLines(lines)?.find((one) => one.tree === tree && one.size === size)?.root;
}

/** Why the note is not to be believed; undefined: a key that the gateway names has signed it. */
function faultOf(note: Note, verifierKeys: readonly string[]): string | undefined {
  try {
    return verifyNote(note, verifierKeys.map(parseVerifierKey));
  } catch (error) {
    return error instanceof Error ? error.message : 'a key cannot be read';
  }
}

export function checkEntry(shown: ShownEntry): Checked {
  const { hashed, proof, verifierKeys } = shown;
  if (proof === null) return { is: 'none', text: shown.unproven ?? 'the gateway has no proof' };
  const bad = (text: string): Checked => ({ is: 'bad', text });
  if (!saysTheSame(shown)) return bad('what is shown is not what was hashed');
  const { head, tree } = proof;
  const root = tree.id === hashed.tree ? rootIn(head.text, tree.id, tree.size) : undefined;
  if (root === undefined) return bad('the head does not name its tree');
  const leaf = leafHash(leafData(sha256, placed(shown), Buffer.from(hashed.salt, 'hex')));
  if (!verifyAuditPath(leaf, hashed.position, tree.size, proof.path.map(bytes), root))
    return bad('the entry does not lead to the root of its tree: it was changed, or something beside it was');
  const note = parseNote(proof.checkpoint);
  if (!verifyAuditPath(leafHash(Buffer.from(head.text)), head.position, note.size, head.proof.map(bytes), note.root))
    return bad('the head of its tree is not in the newest checkpoint');
  const fault = faultOf(note, verifierKeys);
  if (fault !== undefined) return bad(`the newest checkpoint is not signed by this gateway: ${fault}`);
  return { is: 'good', checkpoint: note };
}
