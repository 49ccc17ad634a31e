// The context of an extent and the key that is derived with it: known answers, computed here from the description
// alone.
import { createHmac } from 'node:crypto';
import { test } from 'tap';
import type { ContentId, CustomerId, ObjectId } from '../../server/domain/ids.ts';
import { extentContext, extentKey } from '../../server/extents/extent-key.ts';

const fileKey = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
const context = (customer = 'cust', content = 'cont', index = 7, object = 'obj'): Buffer =>
  extentContext(customer as CustomerId, content as ContentId, index, object as ObjectId);

test('the context has each part after its length', (t) => {
  const parts = ['cofferdam/extent/1', 'cust', 'cont', '7', 'obj'];
  t.equal(
    context().toString('latin1'),
    parts.map((part) => `\0\0\0${String.fromCharCode(part.length)}${part}`).join(''),
  );
  const others = [
    context('cus', 'tcont'),
    context('cust', 'con', 7),
    context('cust', 'cont', 77),
    context('cust', 'cont', 7, 'ob'),
    context('custc', 'ont'),
  ];
  for (const other of others) t.notOk(other.equals(context()), other.toString('latin1'));
  t.end();
});

test('the key is HKDF-SHA256 without a salt (RFC 5869), computed here by hand', (t) => {
  const extracted = createHmac('sha256', Buffer.alloc(32)).update(fileKey).digest();
  const expanded = createHmac('sha256', extracted).update(context()).update(Buffer.of(1)).digest();
  const key = extentKey(fileKey, context());
  t.equal(key.length, 32);
  t.ok(key.equals(expanded));
  t.notOk(extentKey(fileKey, context('other')).equals(key));
  for (const bytes of [0, 31, 33])
    t.throws(() => extentKey(Buffer.alloc(bytes), context()), RangeError, `${bytes} bytes`);
  t.end();
});
