// Owns: the text of a checkpoint: a C2SP tlog-checkpoint in a C2SP signed note, with our own lines for era and time.
// Must never: accept a second text for the same thing.
import { CofferdamError } from '../errors.ts';

export type Checkpoint = {
  /** `cofferdam/<installation id>`: also the name of the key. */
  readonly origin: string;
  /** Of the heads log. */
  readonly size: number;
  /** Base64. */
  readonly root: string;
  /** Grows by one whenever two operators release a database that was behind its witness. */
  readonly era: number;
  /** UTC with milliseconds. */
  readonly time: string;
};

export const originOf = (installation: string): string => `cofferdam/${installation}`;

/** What is signed. */
export const checkpointBody = ({ origin, size, root, era, time }: Checkpoint): string =>
  `${origin}\n${size}\n${root}\nera ${era}\ntime ${time}\n`;

/** `signature`: 4 bytes of key id and 64 of Ed25519, base64. */
export const noteText = (body: string, origin: string, signature: string): string => `${body}\n\u2014 ${origin} ${signature}\n`;

const shape =
  /^((cofferdam\/[0-9a-f-]{36})\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\nera ([1-9]\d{0,8})\ntime (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\n)\n\u2014 (cofferdam\/[0-9a-f-]{36}) ([A-Za-z0-9+/]{91}=)\n$/;

export type ParsedNote = { readonly body: string; readonly checkpoint: Checkpoint; readonly signature: string };

/** Throws `invalid` for anything that is not exactly such a note; says nothing about the signature's truth. */
export function parseNote(text: string): ParsedNote {
  const [, body, origin, size, root, era, time, signer, signature] = shape.exec(text) ?? [];
  if (
    body === undefined ||
    origin === undefined ||
    root === undefined ||
    time === undefined ||
    signature === undefined ||
    signer !== origin
  )
    throw new CofferdamError('invalid', 'this is not a checkpoint of this gateway');
  const checkpoint: Checkpoint = { origin, size: Number(size), root, era: Number(era), time };
  if (!Number.isSafeInteger(checkpoint.size)) throw new CofferdamError('invalid', 'this is not a checkpoint of this gateway');
  return { body, checkpoint, signature };
}
