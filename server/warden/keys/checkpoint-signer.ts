// Owns: Ed25519 signatures of checkpoints in the form of C2SP signed notes.
// Must never: sign anything that is not a checkpoint of its own name.
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { type Checkpoint, checkpointBody, noteText, parseNote } from '../../domain/ledger/checkpoint.ts';

export type CheckpointSigner = {
  /** The key as a verifier is given it: `name+key id+base64` (C2SP signed-note). */
  readonly verifierKey: string;
  /** Signs a checkpoint and returns the whole note. Throws `bug` for a checkpoint of another name. */
  sign(checkpoint: Checkpoint): string;
  /** Returns the checkpoint of a note that this key signed. Throws `corrupt` for any other text. */
  open(note: string): Checkpoint;
};

const ed25519 = 0x01;

/** The prefix of an Ed25519 public key in the form SPKI (RFC 8410); the 32 bytes of the key follow. */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * Returns the function that opens the notes of one verifier key, as `CheckpointSigner.open` does. Throws `corrupt` when
 * the text is no verifier key.
 */
export function checkpointOpener(verifierKey: string): CheckpointSigner['open'] {
  // 44 letters are the 33 bytes of an algorithm and an Ed25519 key.
  const [, origin = '', idText = '', typedText = ''] =
    /^(.{1,100})\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$/.exec(verifierKey) ?? [];
  const typed = Buffer.from(typedText, 'base64');
  if (typed[0] !== ed25519) throw new CofferdamError('corrupt', 'this is not the verifier key of a ledger');
  const publicKey = createPublicKey({
    key: Buffer.concat([spkiPrefix, typed.subarray(1)]),
    format: 'der',
    type: 'spki',
  });
  return opener(origin, Buffer.from(idText, 'hex'), publicKey);
}

const opener =
  (origin: string, id: Buffer, publicKey: KeyObject): CheckpointSigner['open'] =>
  (note) => {
    const { body, checkpoint, signature } = parseNote(note);
    const bytes = Buffer.from(signature, 'base64');
    if (checkpoint.origin !== origin)
      throw new CofferdamError(
        'corrupt',
        `this checkpoint is of the installation ${checkpoint.origin}, and the database says that this one is ${origin}: its installation id was changed, or the checkpoint is another gateway's`,
      );
    if (
      bytes.toString('base64') !== signature ||
      !bytes.subarray(0, 4).equals(id) ||
      !verify(null, Buffer.from(body), publicKey, bytes.subarray(4))
    )
      throw new CofferdamError('corrupt', 'this checkpoint was not signed by the ledger key of this gateway');
    return checkpoint;
  };

export function checkpointSigner(key: KeyObject, origin: string): CheckpointSigner {
  const publicKey = createPublicKey(key);
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  const typed = Buffer.concat([Buffer.of(ed25519), raw]);
  const id = createHash('sha256').update(`${origin}\n`).update(typed).digest().subarray(0, 4);
  return {
    verifierKey: `${origin}+${id.toString('hex')}+${typed.toString('base64')}`,
    sign: (checkpoint) => {
      if (checkpoint.origin !== origin) throw new CofferdamError('bug', 'a checkpoint of another name');
      const body = checkpointBody(checkpoint);
      return noteText(body, origin, Buffer.concat([id, sign(null, Buffer.from(body), key)]).toString('base64'));
    },
    open: opener(origin, id, publicKey),
  };
}
