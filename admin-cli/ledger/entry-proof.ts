// Owns: checking the proof of one entry on the operator's machine. The proof leads from the fields that were shown to
// the leaf, from the leaf to the root of its tree, from that root through the map of all trees to the head, from the
// head to the checkpoint, and from there to the signature of the checkpoint.
// Must never: trust the gateway for any step, except for the verifier key.
import { leafData, type PlacedEntry } from '../../server/domain/ledger/leaf.ts';
import { mapDepth, mapLeaf, mapRootFrom } from '../../server/domain/ledger/map.ts';
import type { Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import {
  leafHash,
  type Note,
  parseNote,
  parseVerifierKey,
  sha256,
  verifyAuditPath,
  verifyNote,
} from '../../verifier/index.js';

export type ShownEntry = Result<OperatorToAdmin, 'ledger.show'>;
export type Checked =
  | { readonly is: 'good'; readonly checkpoint: Note }
  | { readonly is: 'bad' | 'none'; readonly text: string };

const bytes = (text: string): Buffer => Buffer.from(text, 'base64');

function placed({ entry, hashed }: ShownEntry): PlacedEntry {
  return { ...entry, ...hashed, number: entry.number ?? 0, customer: entry.customerId, account: entry.accountId };
}

/** Returns whether the texts that were hashed say the same as the fields that were shown. */
function saysTheSame({ entry, hashed }: ShownEntry): boolean {
  const same = (text: string, shown: unknown): boolean => JSON.stringify(JSON.parse(text)) === JSON.stringify(shown);
  const [seconds, micros] = [Date.parse(`${entry.at.slice(0, 19)}Z`), Number(entry.at.slice(20, 26))];
  return (
    same(hashed.publicText, entry.public) &&
    same(hashed.sensitiveText, entry.sensitive) &&
    seconds * 1000 + micros === hashed.at
  );
}

type Proof = NonNullable<ShownEntry['proof']>;

/** Returns whether the tree, with this size and root, is in the map of all trees to which the head commits. */
function isInHead({ head, tree }: Proof): boolean {
  const [, mapRoot] =
    /^cofferdam ledger head\/2\n\d+\n\d+\n([A-Za-z0-9+/]{43}=)\n[A-Za-z0-9+/]{43}=\n$/.exec(head.text) ?? [];
  const isSlot = Number.isInteger(tree.slot) && tree.slot >= 0 && tree.slot < 2 ** mapDepth;
  if (mapRoot === undefined || !isSlot || tree.path.length !== mapDepth) return false;
  const leaf = mapLeaf(sha256, { tree: tree.id, size: tree.size, root: tree.root }, bytes(tree.blind));
  return Buffer.from(mapRootFrom(sha256, leaf, tree.slot, tree.path.map(bytes))).equals(bytes(mapRoot));
}

/** Returns why the note is not to be trusted, or undefined when it is signed by a key that the gateway names. */
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
  if (tree.id !== hashed.tree || !isInHead(proof))
    return bad('the tree of the entry does not lead to the head: it is not the tree that was sealed');
  const leaf = leafHash(leafData(sha256, placed(shown), Buffer.from(hashed.salt, 'hex')));
  if (!verifyAuditPath(leaf, hashed.position, tree.size, proof.path.map(bytes), bytes(tree.root)))
    return bad('the entry does not lead to the root of its tree: it was changed, or another entry of the tree was');
  const note = parseNote(proof.checkpoint);
  if (!verifyAuditPath(leafHash(Buffer.from(head.text)), head.position, note.size, head.proof.map(bytes), note.root))
    return bad('the head of its tree is not in the newest checkpoint');
  const fault = faultOf(note, verifierKeys);
  if (fault !== undefined) return bad(`the newest checkpoint is not signed by this gateway: ${fault}`);
  return { is: 'good', checkpoint: note };
}
