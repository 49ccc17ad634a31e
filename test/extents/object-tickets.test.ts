// Tickets and acknowledgements: each says one thing about one object of one node, and nothing else can be made of it.
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'tap';
import { idOf, type NodeName, type ObjectId } from '../../server/domain/ids.ts';
import {
  acknowledge,
  isAcknowledged,
  issueTicket,
  readTicket,
  SealedDigest,
  sealedDigest,
  ticketBytes,
} from '../../server/extents/object-tickets.ts';
import { firstPlainBytes, laterPlainBytes, segmentBytes } from '../../server/extents/sealed-format.ts';
import { sealedExtent } from '../support/sealed-extent.ts';

const [key, otherKey] = [randomBytes(32), randomBytes(32)];
const node = idOf<NodeName>('partner-1');
const object = idOf<ObjectId>('0123456789abcdef'.repeat(2));
const now = Date.UTC(2026, 10, 30);
const ticket = { node, object, bytesMax: 16_777_216, until: now + 1 };

test('a ticket is read as it was issued, by every key that counts, until its end', (t) => {
  const bytes = issueTicket(key, ticket);
  t.equal(bytes.length, ticketBytes);
  t.same(readTicket([key], node, bytes, now), { ticket, key });
  t.same(readTicket([otherKey, key], node, bytes, now), { ticket, key }, 'with the key that issued it');
  for (const [why, keys, of, at] of [
    ['another key', [otherKey], node, now],
    ['no key', [], node, now],
    ['another node', [key], idOf<NodeName>('partner-2'), now],
    ['a node whose name goes on', [key], idOf<NodeName>('partner-1\n'), now],
  ] as const)
    t.throws(() => readTicket(keys, of, bytes, at), { code: 'denied', message: /was not issued to this node/ }, why);
  for (const at of [now + 1, now + 1000])
    t.throws(() => readTicket([key], node, bytes, at), { code: 'denied', message: /time of this ticket is over/ });
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    t.throws(() => readTicket([key], node, changed, now), { code: 'denied' }, `byte ${at}`);
  }
  for (const length of [0, ticketBytes - 1])
    t.throws(() => readTicket([key], node, bytes.subarray(0, length), now), { code: 'denied' }, `${length} bytes`);
  t.throws(() => readTicket([key], node, Buffer.concat([bytes, Buffer.alloc(1)]), now), { code: 'denied' });
  t.throws(() => issueTicket(key, { ...ticket, object: '../x' as ObjectId }), { code: 'corrupt' });
  t.end();
});

test('an acknowledgement holds for its object, node, length and digest, and no ticket is one', (t) => {
  const durable = { node, object, bytes: 100, digest: randomBytes(32) };
  const said = acknowledge(key, durable);
  t.ok(isAcknowledged(key, durable, said));
  for (const [why, other] of [
    ['another object', { object: idOf<ObjectId>('f'.repeat(32)) }],
    ['another node', { node: idOf<NodeName>('partner-2') }],
    ['another length', { bytes: 101 }],
    ['another digest', { digest: randomBytes(32) }],
    ['a digest of another length', { digest: randomBytes(31) }],
    ['no digest', { digest: Buffer.alloc(0) }],
  ] as const)
    t.notOk(isAcknowledged(key, { ...durable, ...other }, said), why);
  t.notOk(isAcknowledged(otherKey, durable, said), 'another key');
  t.notOk(isAcknowledged(key, durable, said.subarray(1)), 'a part of it');
  t.notOk(isAcknowledged(key, durable, issueTicket(key, ticket).subarray(-32)), 'the MAC of a ticket');
  t.end();
});

test('the digest is over header and tags, whether the object is whole in memory or comes in segments', (t) => {
  for (const plainBytes of [1, firstPlainBytes, firstPlainBytes + 1, firstPlainBytes + 2 * laterPlainBytes + 7]) {
    const sealed = sealedExtent(randomBytes(32), randomBytes(20), randomBytes(plainBytes));
    const hash = createHash('sha256').update(sealed.subarray(0, 40));
    const digest = new SealedDigest();
    for (let at = 0; at < sealed.length; at += segmentBytes) {
      const segment = sealed.subarray(at, at + segmentBytes);
      hash.update(segment.subarray(-16));
      digest.add(segment);
    }
    const expected = hash.digest('hex');
    t.equal(sealedDigest(sealed).toString('hex'), expected, `${plainBytes} bytes`);
    t.equal(digest.end().toString('hex'), expected);
  }
  for (const bytes of [0, 55, segmentBytes + 1])
    t.throws(() => new SealedDigest().add(Buffer.alloc(bytes)), RangeError, `${bytes} bytes`);
  const digest = new SealedDigest();
  digest.add(Buffer.alloc(56));
  t.throws(() => digest.add(Buffer.alloc(15)), RangeError, 'a later segment has a tag');
  digest.add(Buffer.alloc(16));
  t.end();
});
