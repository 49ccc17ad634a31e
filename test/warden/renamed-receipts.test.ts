// T-26: a receipt follows the name of its file until the file is delivered, and says nothing else that the first one
// did not say, whatever stands in the row of the version.
import { generateKeyPairSync, randomUUID, sign, verify } from 'node:crypto';
import { test } from 'tap';
import { type FileId, idOf, type VersionId } from '../../server/domain/ids.ts';
import { parseReceipt, type ReceiptFields, receiptBody, receiptText } from '../../server/domain/receipt.ts';
import { publishedNames } from '../../server/warden/receipts/published-names.ts';
import { readReceipt } from '../../server/warden/receipts/receipt-queries.ts';
import { renamedReceipt, signedReceipt } from '../../server/warden/receipts/receipts.ts';
import { publish } from '../../server/warden/transfers/sweeps.ts';
import { addDirectory, addFile } from '../support/rows.ts';
import { Shelf } from '../support/shelf.ts';

function receiptKeys(id = '0123456789abcdef') {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    signReceipt: (message: Buffer): Buffer => sign(null, message, privateKey),
    receiptPublicKey: { id, pem: publicKey.export({ type: 'spki', format: 'pem' }).toString() },
  };
}
const version = idOf<VersionId>(randomUUID());
const fields: ReceiptFields = {
  customer: randomUUID(),
  path: '/deposit/a.xml.writing',
  version,
  size: 3,
  sha256: 'a'.repeat(64),
  extents: 'b'.repeat(64),
  closedAt: '2026-11-28T10:00:00.000Z',
  account: 'acme-batch',
  hashedBy: 'partner-1',
};
const isGenuine = (keys: ReturnType<typeof receiptKeys>, text: string): boolean => {
  const { body, signatureBase64 } = parseReceipt(text);
  return verify(null, Buffer.from(body), keys.receiptPublicKey.pem, Buffer.from(signatureBase64, 'base64'));
};

test('a rename changes the path, keeps the first one beside it, and a way back leaves nothing', (t) => {
  const keys = receiptKeys();
  const first = signedReceipt(keys, fields);
  t.same(parseReceipt(first).fields, fields);
  const second = renamedReceipt(keys, version, first, '/deposit/b.xml');
  t.ok(isGenuine(keys, second));
  t.same(parseReceipt(second).fields, { ...fields, path: '/deposit/b.xml', closedAs: fields.path });
  const third = renamedReceipt(keys, version, second, '/deposit/c.xml');
  t.same(
    parseReceipt(third).fields,
    { ...fields, path: '/deposit/c.xml', closedAs: fields.path },
    'the first one stays',
  );
  t.equal(renamedReceipt(keys, version, third, fields.path), first, 'back under its first name');
  t.end();
});

test('nothing is signed over what this key did not sign for this version', (t) => {
  const keys = receiptKeys();
  const path = '/deposit/b.xml';
  const good = signedReceipt(keys, fields);
  const other = { ...fields, version: randomUUID() };
  const forged: Readonly<Record<string, string>> = {
    'another size': good.replace('"size":3', '"size":4'),
    'another account': good.replace('acme-batch', 'globex-batch'),
    'an earlier name': good.replace('"closedAt"', '"closedAs":"/deposit/x","closedAt"'),
    'the receipt of another version': signedReceipt(keys, other),
    'another key under the same id': signedReceipt(receiptKeys(), fields),
    'another key': signedReceipt(receiptKeys('fedcba9876543210'), fields),
    'no signature': receiptText(fields, keys.receiptPublicKey.id, `${'A'.repeat(86)}==`),
    'only its body': receiptBody(fields),
    'no receipt': 'r',
  };
  for (const [what, text] of Object.entries(forged)) {
    t.not(text, good, what);
    t.equal(renamedReceipt(keys, version, text, path), text, `${what}: stays as it is`);
  }
  t.not(renamedReceipt(keys, version, good, path), good, 'the twin');
  t.end();
});

test('the database: a receipt changes with the name, and not after the publication', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql } = shelf;
  const change = (of: VersionId, set: string, ...values: readonly unknown[]): Promise<unknown> =>
    sql.query(`update version set ${set} where id = $1`, [of, ...values]);
  for (const state of ['held', 'settling', 'published', 'withdrawn']) {
    const one = await shelf.add(1);
    await shelf.become(one, state);
    const elsewhere = await addFile(sql, { customer: shelf.customer, folder: shelf.folder, name: `of ${state}` });
    const refused = { message: /receipt changes only with the name/ };
    await t.rejects(change(one.version, "receipt = 's'"), refused, `${state}: without the name`);
    await t.rejects(change(one.version, 'receipt = null, file_id = $2', elsewhere), refused, `${state}: lost`);
    const renamed = change(one.version, "receipt = 's', file_id = $2, number = 1", elsewhere);
    if (state === 'held' || state === 'settling') await t.resolves(renamed, `${state}: with the name`);
    else await t.rejects(renamed, refused, `${state}: with the name`);
  }
});

test('what the record says of the names of published files', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql } = shelf;
  const keys = receiptKeys();
  const directory = await addDirectory(sql, { customer: shelf.customer, folder: shelf.folder, name: 'd' });
  const of = async (name: string, parent: typeof directory | null): Promise<VersionId> => {
    const file = idOf<FileId>(randomUUID());
    const one = await shelf.add(1, file);
    await sql.query('update file set name = $2, directory_id = $3 where id = $1', [file, name, parent]);
    await shelf.become(one, 'held');
    return one.version;
  };
  const [plain, below] = [await of('plain.xml', null), await of('below.xml', directory)];
  const [{ name: folder } = { name: '' }] = await sql.query<{ name: string }>('select name from folder');
  const receipt = renamedReceipt(
    keys,
    below,
    signedReceipt(keys, { ...fields, version: below, path: `/${folder}/d/below.tmp` }),
    `/${folder}/d/below.xml`,
  );
  await sql.query('update version set receipt = $2, file_id = $3 where id = $1', [
    below,
    receipt,
    await addFile(sql, { customer: shelf.customer, folder: shelf.folder, name: 'moved.xml' }),
  ]);
  const database = shelf.warden.database;
  t.equal(await database.withCustomers([shelf.customer], (tx) => readReceipt(tx, below)), receipt);
  const names = await database.withCustomers([shelf.customer], (tx) => publishedNames(tx, keys, [plain, below]));
  t.same(Object.fromEntries(names), {
    [plain]: { folder, path: '/plain.xml', closedAs: null },
    [below]: { folder, path: '/moved.xml', closedAs: '/d/below.tmp' },
  });
});

test('a receipt that no key of ours signed says nothing on the record, and keeps nothing from being published', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const own = (version: VersionId): ReceiptFields => ({
    ...fields,
    version,
    path: '/deposit/b.xml',
    closedAs: '/deposit/a.tmp',
  });
  const odd = (closedAs: unknown) => (version: VersionId) =>
    signedReceipt(receiptKeys(), { ...own(version), closedAs: closedAs as string });
  const receipts: Readonly<Record<string, (version: VersionId) => string>> = {
    'ours, the twin': (version) => signedReceipt(warden.keys, own(version)),
    'of another key': (version) => signedReceipt(receiptKeys(), own(version)),
    'of another key under our id': (version) =>
      signedReceipt(receiptKeys(warden.keys.receiptPublicKey.id), own(version)),
    'of another version': () => signedReceipt(warden.keys, own(idOf<VersionId>(randomUUID()))),
    'a number': odd(7),
    'an object': odd({ a: 1 }),
    'a list': odd(['/deposit/a.tmp']),
    'no receipt': () => 'r',
  };
  for (const [what, receiptOf] of Object.entries(receipts)) {
    const one = await shelf.add(1);
    await shelf.become(one, 'settling');
    const elsewhere = await addFile(sql, { customer: shelf.customer, folder: shelf.folder, name: what });
    await sql.query('update version set receipt = $2, file_id = $3 where id = $1', [
      one.version,
      receiptOf(one.version),
      elsewhere,
    ]);
    await publish(warden);
    t.equal(await shelf.state(one.version), 'published', what);
    t.match(
      await sql.query("select public from ledger where version_id = $1 and kind = 'file.published'", [one.version]),
      [{ public: { path: `/${what}`, closedAs: what.startsWith('ours') ? '/a.tmp' : null } }],
    );
  }
});
