import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'tap';
import { isGenuine } from '../../admin-cli/commands/file-receipt.ts';
import { parseReceipt, type ReceiptFields, receiptBody, receiptText } from '../../server/domain/receipt.ts';

const fields: ReceiptFields = {
  customer: 'acme',
  path: '/deposit/ö "x".xml',
  version: 'v',
  size: 5,
  sha256: 'a'.repeat(64),
  extents: 'b'.repeat(64),
  closedAt: '2026-01-01T00:00:00.000Z',
  account: 'acme',
  hashedBy: 'partner-1',
};

test('a receipt verifies as it is and in no altered form', async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const text = receiptText(fields, '0123456789abcdef', sign(null, Buffer.from(receiptBody(fields)), privateKey).toString('base64'));
  t.ok(isGenuine(text, pem));
  t.same(parseReceipt(text).fields, fields);
  const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
  t.notOk(isGenuine(text, other), 'another key');
  let tried = 0;
  for (let i = 0; i < text.length; i += 1) {
    const letter = text[i] ?? '';
    const altered = `${text.slice(0, i)}${letter === 'x' ? 'y' : 'x'}${text.slice(i + 1)}`;
    let verdict = false;
    try {
      verdict = isGenuine(altered, pem);
    } catch {
      verdict = false;
    }
    if (verdict) t.fail(`altering character ${i} went unnoticed`);
    tried += 1;
  }
  t.ok(tried > 300);
  t.throws(() => parseReceipt(`${text}more`));
  t.throws(() => parseReceipt(text.replace('{"account"', '{ "account"')), 'only the canonical form');
});
