// Owns: the text of a checkpoint: a C2SP tlog-checkpoint in a C2SP signed note, with two lines of our own for era and
// time.
// Must never: accept a second text for the same checkpoint.
import { CofferdamError } from '../errors.ts';

export type Checkpoint = {
  /** `cofferdam/<installation id>`, which is also the name of the key. */
  readonly origin: string;
  /** The number of leaves of the heads log. */
  readonly size: number;
  /** The root of the heads log, in base64. */
  readonly root: string;
  /** The era, which grows by one whenever two operators release a database that was behind its witness. */
  readonly era: number;
  /** The time of the checkpoint, in UTC with milliseconds. */
  readonly time: string;
};

export const originOf = (installation: string): string => `cofferdam/${installation}`;

/** Returns the text that is signed. */
export const checkpointBody = ({ origin, size, root, era, time }: Checkpoint): string =>
  `${origin}\n${size}\n${root}\nera ${era}\ntime ${time}\n`;

/**
 * Returns the whole note. `signature` is base64 of the 4 bytes of the key id and the 64 bytes of the Ed25519 signature.
 */
export const noteText = (body: string, origin: string, signature: string): string =>
  `${body}\n\u2014 ${origin} ${signature}\n`;

const shape =
  /^((cofferdam\/[0-9a-f-]{36})\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\nera ([1-9]\d{0,8})\ntime (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\n)\n\u2014 (cofferdam\/[0-9a-f-]{36}) ([A-Za-z0-9+/]{91}=)\n$/;

type ParsedNote = { readonly body: string; readonly checkpoint: Checkpoint; readonly signature: string };

/** Parses a note. Throws `invalid` for anything that is not exactly such a note. The signature is not verified. */
export function parseNote(text: string): ParsedNote {
  const [, body = '', origin = '', size, root = '', era, time = '', signer, signature = ''] = shape.exec(text) ?? [];
  if (signer !== origin) throw new CofferdamError('invalid', 'this is not a checkpoint of this gateway');
  const checkpoint: Checkpoint = { origin, size: Number(size), root, era: Number(era), time };
  if (!Number.isSafeInteger(checkpoint.size))
    throw new CofferdamError('invalid', 'this is not a checkpoint of this gateway');
  return { body, checkpoint, signature };
}
