// Owns: the text of a receipt: what was received, in canonical JSON, and its signature line in the form of a C2SP
// signed note.
// Must never: hold anything that the depositor may not see.
import { CofferdamError } from './errors.ts';

export type ReceiptFields = {
  /** The customer's id: it stays the same when the customer is renamed, and names its tree of the record. */
  readonly customer: string;
  /** The path as it is now: once the file is delivered, the path under which it was delivered. */
  readonly path: string;
  /** The path under which the file was closed; absent when that is `path`. */
  readonly closedAs?: string;
  readonly version: string;
  readonly size: number;
  /** SHA-256 of the whole content, in hexadecimal. */
  readonly sha256: string;
  /** SHA-256 over the digests of the sealed extents in their order, in hexadecimal. */
  readonly extents: string;
  /** The instant of the close in RFC 3339, in UTC. */
  readonly closedAt: string;
  readonly account: string;
  /** The name of the edge node that computed `sha256`. */
  readonly hashedBy: string;
};

const heading = 'cofferdam receipt/1';
const order = [
  'account',
  'closedAs',
  'closedAt',
  'customer',
  'extents',
  'hashedBy',
  'path',
  'sha256',
  'size',
  'version',
] as const satisfies readonly (keyof ReceiptFields)[];

/**
 * Returns the bytes that are signed: a heading, one line of JSON with its keys in this fixed order, and a newline. A
 * key without a value is left out.
 */
export function receiptBody(fields: ReceiptFields): string {
  return `${heading}\n${JSON.stringify(Object.fromEntries(order.map((key) => [key, fields[key]])))}\n`;
}

/** Returns the body, an empty line, and `— <key id> <base64 signature>`. */
export function receiptText(fields: ReceiptFields, keyId: string, signatureBase64: string): string {
  return `${receiptBody(fields)}\n\u2014 ${keyId} ${signatureBase64}\n`;
}

type ParsedReceipt = {
  readonly body: string;
  readonly fields: ReceiptFields;
  readonly keyId: string;
  readonly signatureBase64: string;
};

/** Parses a receipt. Throws `invalid` for anything that is not exactly such a text. The signature is not verified. */
export function parseReceipt(text: string): ParsedReceipt {
  const match = /^(cofferdam receipt\/1\n(\{[^\n]*\})\n)\n\u2014 ([0-9a-f]{16}) ([A-Za-z0-9+/]{86}==)\n?$/.exec(text);
  if (match === null) throw new CofferdamError('invalid', 'this is not a receipt of this gateway');
  const [, body = '', json = '', keyId = '', signatureBase64 = ''] = match;
  // The unused bits of the last base64 character must be zero, so that a signature has only one text.
  if (btoa(atob(signatureBase64)) !== signatureBase64)
    throw new CofferdamError('invalid', 'the receipt is not in canonical form');
  let fields: ReceiptFields;
  try {
    fields = JSON.parse(json) as ReceiptFields;
  } catch {
    throw new CofferdamError('invalid', 'the receipt is damaged');
  }
  if (receiptBody(fields) !== body) throw new CofferdamError('invalid', 'the receipt is not in canonical form');
  return { body, fields, keyId, signatureBase64 };
}
