// Owns: checking the proof of one entry here, with what was shown: fields to leaf, leaf to its tree's root, that to the head, that to the checkpoint, and its
// signature.
// Must never: take the gateway's word for any step but the verifier key.
import { createPublicKey, hash, verify } from 'node:crypto';
import { type Checkpoint, parseNote } from '../server/domain/ledger/checkpoint.ts';
import { rootByPath } from '../server/domain/ledger/inclusion.ts';
import { leafData, type PlacedEntry } from '../server/domain/ledger/leaf.ts';
import { leafHash } from '../server/domain/ledger/merkle.ts';
import type { Result } from '../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../server/rpc/operator-admin.ts';

export type ShownEntry = Result<OperatorToAdmin, 'ledger.show'>;
export type Checked = { readonly is: 'good'; readonly checkpoint: Checkpoint } | { readonly is: 'bad' | 'none'; readonly text: string };

const sha256 = (data: Uint8Array): Buffer => hash('sha256', data, 'buffer');
const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
/** DER of an Ed25519 public key up to its 32 bytes (RFC 8410). */
const spkiHead = Buffer.from('302a300506032b6570032100', 'hex');
const ed25519 = 1;

/** Whether one of these keys (C2SP signed-note) signed the note. */
function isSigned(note: string, keys: readonly string[]): boolean {
  const { body, checkpoint, signature } = parseNote(note);
  const raw = bytes(signature);
  return keys.some((key) => {
    // The base64 at the end may hold a + of its own.
    const [, name, id, typed] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(key) ?? [];
    const material = bytes(typed ?? '');
    if (name !== checkpoint.origin || material.length !== 33 || material[0] !== ed25519) return false;
    const expected = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), material]), 'buffer').subarray(0, 4);
    if (expected.toString('hex') !== id || !raw.subarray(0, 4).equals(expected)) return false;
    const publicKey = createPublicKey({ key: Buffer.concat([spkiHead, material.subarray(1)]), format: 'der', type: 'spki' });
    return verify(null, Buffer.from(body), publicKey, raw.subarray(4));
  });
}

function placed({ entry, hashed }: ShownEntry): PlacedEntry {
  return { ...entry, ...hashed, customer: entry.customerId, account: entry.accountId };
}

/** The texts that were hashed must say what was shown. */
function saysTheSame({ entry, hashed }: ShownEntry): boolean {
  const same = (text: string, shown: unknown): boolean => JSON.stringify(JSON.parse(text)) === JSON.stringify(shown);
  const [seconds, micros] = [Date.parse(`${entry.at.slice(0, 19)}Z`), Number(entry.at.slice(20, 26))];
  return same(hashed.publicText, entry.public) && same(hashed.sensitiveText, entry.sensitive) && seconds * 1000 + micros === hashed.at;
}

export function checkEntry(shown: ShownEntry): Checked {
  const { hashed, proof, verifierKeys } = shown;
  if (proof === null) return { is: 'none', text: shown.unproven ?? 'the gateway has no proof' };
  const bad = (text: string): Checked => ({ is: 'bad', text });
  if (!saysTheSame(shown)) return bad('what is shown is not what was hashed');
  const leaf = leafHash(sha256, leafData(sha256, placed(shown), Buffer.from(hashed.salt, 'hex')));
  const root = rootByPath(sha256, hashed.position, proof.tree.size, leaf, proof.path.map(bytes));
  const line = `${hashed.tree} ${proof.tree.size} ${Buffer.from(root ?? []).toString('base64')}`;
  if (root === undefined || proof.tree.id !== hashed.tree || !proof.head.text.split('\n').slice(4).includes(line))
    return bad('the entry does not lead to the root of its tree: it was changed, or something beside it was');
  const { checkpoint } = parseNote(proof.checkpoint);
  const head = leafHash(sha256, new TextEncoder().encode(proof.head.text));
  const top = rootByPath(sha256, proof.head.position, checkpoint.size, head, proof.head.proof.map(bytes));
  if (Buffer.from(top ?? []).toString('base64') !== checkpoint.root) return bad('the head of its tree is not in the newest checkpoint');
  if (!isSigned(proof.checkpoint, verifierKeys)) return bad('the newest checkpoint is not signed by a key of this gateway');
  return { is: 'good', checkpoint };
}
