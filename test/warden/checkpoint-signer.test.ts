// Checkpoints of the record: one text for one checkpoint, signed by the key whose name it has, in the form of C2SP
// signed notes.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { test } from 'tap';
import {
  type Checkpoint,
  checkpointBody,
  noteText,
  originOf,
  parseNote,
} from '../../server/domain/ledger/checkpoint.ts';
import { checkpointOpener, checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';

const origin = originOf('7d0c1e52-6c39-4d3a-9a0e-1d0f5a3f0001');
const checkpoint: Checkpoint = {
  origin,
  size: 7,
  root: `${'A'.repeat(43)}=`,
  era: 1,
  time: '2026-11-24T18:00:00.123Z',
};
/** RFC 8032 section 7.1, test 1. */
const known = createPrivateKey({
  key: Buffer.from(
    '302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'hex',
  ),
  format: 'der',
  type: 'pkcs8',
});

test('a known key and checkpoint, letter by letter', (t) => {
  const signer = checkpointSigner(known, origin);
  const publicKey = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex');
  const typed = Buffer.concat([Buffer.of(1), publicKey]);
  const id = createHash('sha256')
    .update(Buffer.concat([Buffer.from(`${origin}\n`), typed]))
    .digest()
    .subarray(0, 4);
  t.equal(signer.verifierKey, `${origin}+${id.toString('hex')}+${typed.toString('base64')}`);
  const body = `${origin}\n7\n${'A'.repeat(43)}=\nera 1\ntime 2026-11-24T18:00:00.123Z\n`;
  t.equal(checkpointBody(checkpoint), body);
  const note = signer.sign(checkpoint);
  const signature = sign(null, Buffer.from(body), known);
  t.equal(note, `${body}\n\u2014 ${origin} ${Buffer.concat([id, signature]).toString('base64')}\n`);
  t.ok(verify(null, Buffer.from(body), createPublicKey(known), signature));
  t.same(signer.open(note), checkpoint);
  t.end();
});

test('only what this key signed is accepted, and only under this name', (t) => {
  const signer = checkpointSigner(known, origin);
  const note = signer.sign(checkpoint);
  const elsewhere = originOf('7d0c1e52-6c39-4d3a-9a0e-1d0f5a3f0002');
  t.throws(() => signer.sign({ ...checkpoint, origin: elsewhere }), { code: 'bug' });
  const refused = { code: 'corrupt', message: /was not signed by the ledger key/ };
  t.throws(
    () => checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin).open(note),
    refused,
    'another key',
  );
  t.throws(
    () => signer.open(checkpointSigner(known, elsewhere).sign({ ...checkpoint, origin: elsewhere })),
    {
      code: 'corrupt',
      message: new RegExp(
        `of the installation ${elsewhere}, and the database says that this one is ${origin}: its installation id was changed`,
      ),
    },
    'another name',
  );
  t.throws(() => signer.open(note.replace('\n7\n', '\n8\n')), refused, 'another text');
  const { body, signature } = parseNote(note);
  const bytes = Buffer.from(signature, 'base64');
  const other = Buffer.concat([Buffer.alloc(4), bytes.subarray(4)]);
  t.throws(
    () => signer.open(noteText(body, origin, other.toString('base64'))),
    refused,
    'the right signature under another key id',
  );
  // The last letter of the base64 text has bits without a meaning.
  const loose = signature.replace(/.=$/, (end) => `${String.fromCharCode(end.charCodeAt(0) + 1)}=`);
  t.ok(Buffer.from(loose, 'base64').equals(bytes), 'the same bytes, in another text');
  t.throws(() => signer.open(noteText(body, origin, loose)), refused);
  t.end();
});

test('whoever has the verifier key opens the notes of its ledger, and of no other', (t) => {
  const { verifierKey, sign: signed } = checkpointSigner(known, origin);
  t.same(checkpointOpener(verifierKey)(signed(checkpoint)), checkpoint);
  const refused = { code: 'corrupt', message: /was not signed by the ledger key/ };
  const another = checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin);
  t.throws(() => checkpointOpener(verifierKey)(another.sign(checkpoint)), refused);
  t.throws(() => checkpointOpener(another.verifierKey)(signed(checkpoint)), refused);
  const [name = '', id = '', typed = ''] = verifierKey.split('+', 3);
  t.throws(
    () => checkpointOpener(`${name}+00000000+${verifierKey.slice(name.length + id.length + 2)}`)(signed(checkpoint)),
    refused,
  );
  t.ok(typed.startsWith('A'), 'its first byte, 1, is the algorithm Ed25519');
  const raw = Buffer.from(verifierKey.slice(name.length + id.length + 2), 'base64').subarray(1);
  const withType = (type: number, key: Buffer): string =>
    `${name}+${id}+${Buffer.concat([Buffer.of(type), key]).toString('base64')}`;
  t.equal(withType(1, raw), verifierKey);
  const none = [
    '',
    'x',
    withType(0, raw),
    withType(2, raw),
    // The second byte does not make it one either.
    withType(2, Buffer.concat([Buffer.of(1), raw.subarray(1)])),
    withType(1, raw.subarray(1)),
    withType(1, Buffer.concat([raw, Buffer.of(0)])),
    verifierKey.slice(name.length),
    `${verifierKey}\n`,
    verifierKey.replace(id, id.toUpperCase().replace(/[0-9]/g, 'A')),
    `${'x'.repeat(101)}${verifierKey.slice(name.length)}`,
  ];
  for (const text of none)
    t.throws(
      () => checkpointOpener(text),
      { code: 'corrupt', message: 'this is not the verifier key of a ledger' },
      text,
    );
  t.end();
});

test('a note has one form', (t) => {
  const note = checkpointSigner(known, origin).sign(checkpoint);
  t.match(parseNote(note), { checkpoint, body: checkpointBody(checkpoint) });
  const most = Number.MAX_SAFE_INTEGER;
  for (const size of [0, most]) {
    const of = { ...checkpoint, size };
    t.same(parseNote(checkpointSigner(known, origin).sign(of)).checkpoint, of);
  }
  const changed: readonly (readonly [string, string])[] = [
    ['\n7\n', '\n07\n'],
    ['\n7\n', `\n${most + 1}\n`],
    ['.123Z\n', '.123Z\nentries 41\n'],
    ['era 1', 'era 0'],
    ['era 1', 'era  1'],
    ['.123Z', 'Z'],
    ['\u2014', '-'],
    [`\u2014 ${origin}`, `\u2014 ${originOf('7d0c1e52-6c39-4d3a-9a0e-1d0f5a3f0002')}`],
    ['AAA=', 'AA=='],
  ];
  for (const [from, to] of changed)
    t.throws(() => parseNote(note.replace(from, to)), { code: 'invalid' }, `${from.trim()} as ${to.trim()}`);
  for (const text of ['', `${note}x`, `x${note}`, note.slice(0, -1), `${note}\n`])
    t.throws(() => parseNote(text), { code: 'invalid' });
  t.end();
});
