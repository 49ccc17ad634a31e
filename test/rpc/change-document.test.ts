// Signatures of operators, with each kind of key: over exactly one text, and for exactly one purpose.
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { test } from 'tap';
import {
  documentHash,
  isSignedBy,
  parseApproval,
  parseOperatorKey,
  parseProposal,
  publicKeyFingerprint,
  signDocument,
} from '../../server/rpc/change-document.ts';

const spki = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });
const proposal = {
  type: 'cofferdam change/1',
  installation: randomUUID(),
  change: randomUUID(),
  operation: 'key.add',
  params: { account: 'acme', publicKey: 'ssh-ed25519 AAAA' },
  reason: 'new laptop',
  proposer: 'alice',
  key: '0'.repeat(64),
  proposedAt: new Date().toISOString(),
  expiresAt: new Date().toISOString(),
} as const;

test('each kind of key signs, and a signature is valid only for its own text', (t) => {
  const pairs = [
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    generateKeyPairSync('ed25519'),
  ];
  for (const { privateKey, publicKey } of pairs) {
    const { document, signature } = signDocument(proposal, privateKey);
    const bytes = Buffer.from(signature, 'base64');
    t.same(parseProposal(document), proposal);
    t.ok(isSignedBy(document, bytes, spki(publicKey)));
    t.notOk(isSignedBy(document.replace('acme', 'acmf'), bytes, spki(publicKey)), 'another text');
    for (const other of pairs)
      if (other.publicKey !== publicKey) t.notOk(isSignedBy(document, bytes, spki(other.publicKey)), 'another key');
    for (let i = 0; i < bytes.length; i += 7) {
      const flipped = Buffer.from(bytes);
      flipped[i] = (flipped[i] ?? 0) ^ 1;
      t.notOk(isSignedBy(document, flipped, spki(publicKey)), `bit of byte ${i}`);
    }
    t.notOk(isSignedBy(document, Buffer.alloc(0), spki(publicKey)), 'no signature');
    // A signature over the bare text, as any other protocol would make it, is not valid.
    const hash = publicKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
    t.notOk(isSignedBy(document, sign(hash, Buffer.from(document), privateKey), spki(publicKey)), 'over the bare text');
    t.equal(publicKeyFingerprint(spki(publicKey)).length, 64);
  }
  t.end();
});

test('keys that may not sign, and texts that are no documents', (t) => {
  const weak = [
    generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey,
    generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey,
    generateKeyPairSync('x25519').publicKey,
    generateKeyPairSync('ed448').publicKey,
  ];
  for (const key of weak) t.throws(() => parseOperatorKey(spki(key)), { code: 'invalid' });
  const good = spki(generateKeyPairSync('ed25519').publicKey);
  t.ok(parseOperatorKey(good));
  t.throws(() => parseOperatorKey(Buffer.concat([good, Buffer.of(0)])), { code: 'invalid' }, 'with a byte behind it');
  t.throws(() => parseOperatorKey(Buffer.from('x')), { code: 'invalid' });
  const key = createPrivateKey(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const { document } = signDocument(proposal, key);
  t.throws(() => parseApproval(document), { code: 'invalid' }, 'a proposal is no approval');
  t.throws(
    () => parseProposal(document.replace('{"change"', '{"extra":1,"change"')),
    { code: 'invalid' },
    'more than there should be',
  );
  t.throws(() => parseProposal(`${document} `), { code: 'invalid' }, 'not canonical');
  const approval = {
    type: 'cofferdam approval/1',
    installation: proposal.installation,
    change: proposal.change,
    hash: documentHash(document),
    approver: 'bob',
    key: '1'.repeat(64),
    approvedAt: new Date().toISOString(),
  } as const;
  t.same(parseApproval(signDocument(approval, key).document), approval);
  t.throws(() => parseProposal(signDocument(approval, key).document), { code: 'invalid' });
  t.end();
});
