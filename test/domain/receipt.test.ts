// Receipts: they verify as they were signed, and in no other form.
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'tap';
import { isGenuine } from '../../admin-cli/file/receipt.ts';
import { parseReceipt, type ReceiptFields, receiptBody, receiptText } from '../../server/domain/receipt.ts';

const fields: ReceiptFields = {
  customer: '6b0f9a52-3c1d-4a51-9c5e-1f0a7f0e7a10',
  path: '/deposit/ö "x".xml',
  version: 'v',
  size: 5,
  sha256: 'a'.repeat(64),
  extents: 'b'.repeat(64),
  closedAt: '2026-01-01T00:00:00.000Z',
  account: 'acme',
  hashedBy: 'partner-1',
};

test('a receipt verifies unaltered, and in no altered form', async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const text = receiptText(
    fields,
    '0123456789abcdef',
    sign(null, Buffer.from(receiptBody(fields)), privateKey).toString('base64'),
  );
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

test('what is no receipt is refused for its own reason', (t) => {
  const signature = `${'A'.repeat(86)}==`;
  const text = receiptText(fields, '0123456789abcdef', signature);
  t.same(parseReceipt(text), {
    body: receiptBody(fields),
    fields,
    keyId: '0123456789abcdef',
    signatureBase64: signature,
  });
  const json = text.split('\n')[1] ?? '';
  const foreign = 'this is not a receipt of this gateway';
  const notCanonical = 'the receipt is not in canonical form';
  const cases: readonly (readonly [string, string, string])[] = [
    ['nothing', '', foreign],
    ['another heading', text.replace('receipt/1', 'receipt/2'), foreign],
    ['no signature', receiptBody(fields), foreign],
    ['a short signature', text.replace('AA==', 'A=='), foreign],
    ['a key id in capitals', text.replace('abcdef', 'ABCDEF'), foreign],
    ['a second text of the same signature', text.replace('A==', 'B=='), notCanonical],
    ['JSON that ends early', text.replace('"}', '}'), 'the receipt is damaged'],
    ['a space in the JSON', text.replace('{"account"', '{ "account"'), notCanonical],
    ['a field more', text.replace('"}', '","more":1}'), notCanonical],
    ['a field twice', text.replace('"}', '","account":"globex"}'), notCanonical],
    ['fields in another order', text.replace(json, JSON.stringify(fields)), notCanonical],
  ];
  for (const [what, odd, message] of cases) t.throws(() => parseReceipt(odd), { code: 'invalid', message }, what);
  t.end();
});
