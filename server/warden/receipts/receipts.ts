// Owns: the signing of receipts, and the receipt of a file that was renamed before it was delivered.
// Must never: sign what an earlier receipt did not say, except the path: whoever owns the database writes any text into
// the row of a version.
import { verify } from 'node:crypto';
import type { VersionId } from '../../domain/ids.ts';
import { parseReceipt, type ReceiptFields, receiptBody, receiptText } from '../../domain/receipt.ts';
import type { KeyRing } from '../keys/key-ring.ts';

export type ReceiptKeys = Pick<KeyRing, 'signReceipt' | 'receiptPublicKey'>;

/** Returns the receipt with these fields, signed. */
export function signedReceipt(keys: ReceiptKeys, fields: ReceiptFields): string {
  const signature = keys.signReceipt(Buffer.from(receiptBody(fields), 'utf8')).toString('base64');
  return receiptText(fields, keys.receiptPublicKey.id, signature);
}

/** Returns the fields of a receipt that this warden's key signed for this version; undefined for anything else. */
function ownFields(keys: ReceiptKeys, version: VersionId, receipt: string): ReceiptFields | undefined {
  try {
    const { body, fields, keyId, signatureBase64 } = parseReceipt(receipt);
    const { pem, id } = keys.receiptPublicKey;
    const isOwn = keyId === id && verify(null, Buffer.from(body, 'utf8'), pem, Buffer.from(signatureBase64, 'base64'));
    return isOwn && fields.version === version ? fields : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Returns the path under which the file of a receipt was closed, when it has another one now. Returns undefined
 * otherwise, and for a text that this warden's key did not sign for this version.
 */
export const closedUnder = (keys: ReceiptKeys, version: VersionId, receipt: string): string | undefined =>
  ownFields(keys, version, receipt)?.closedAs;

/**
 * Returns the receipt of a version after a rename: it names the new path, and beside it the path under which the file
 * was closed. Returns `receipt` itself when this warden's key did not sign it for this version.
 */
export function renamedReceipt(keys: ReceiptKeys, version: VersionId, receipt: string, path: string): string {
  const fields = ownFields(keys, version, receipt);
  if (fields === undefined) return receipt;
  const { closedAs, ...rest } = fields;
  const first = closedAs ?? fields.path;
  return signedReceipt(keys, { ...rest, path, ...(first === path ? {} : { closedAs: first }) });
}
