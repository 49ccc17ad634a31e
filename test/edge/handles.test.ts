// The handles of one session, without a session: their number is limited, a handle is gone once it was closed, its
// place is kept until the close has begun, and all are gone at the end.
import { test } from 'tap';
import type { Download } from '../../server/edge/sftp/download.ts';
import { type Handle, HandlePlaces, Handles } from '../../server/edge/sftp/handles.ts';
import type { Listing } from '../../server/edge/sftp/listing.ts';
import type { Upload } from '../../server/edge/sftp/upload.ts';

const upload = (): Handle => ({ kind: 'upload', upload: {} as Upload });
const download = (): Handle => ({ kind: 'download', download: {} as Download });
const directory = (): Handle => ({ kind: 'directory', path: [], listing: {} as Listing });

test('as many handles as may be open, and not one more; a place that was given back is free', (t) => {
  const handles = new Handles(new HandlePlaces(2));
  const names = [upload(), directory()].map((one) => {
    handles.requireRoom();
    return handles.add(one);
  });
  t.throws(() => handles.requireRoom(), { code: 'over-limit', message: 'no more than 2 files may be open at once' });
  const closed = handles.close(names[1] ?? Buffer.alloc(0));
  t.throws(() => handles.requireRoom(), { code: 'over-limit' }, 'it keeps its place until its CLOSE has begun');
  handles.free(closed);
  t.doesNotThrow(() => handles.requireRoom());
  t.end();
});

test('a handle is eight random bytes, valid for its own file until it is closed', (t) => {
  const handles = new Handles(new HandlePlaces(100));
  const all = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? upload() : download()));
  const names = all.map((one) => handles.add(one));
  t.ok(names.every((name) => name.length === 8));
  t.equal(new Set(names.map((name) => name.toString('hex'))).size, 100);
  for (const [i, name] of names.entries()) {
    t.equal(handles.get(name).handle, all[i]);
    t.match(handles.get(name), { waiting: 0, isClosing: false }, 'nothing waits for it yet');
  }
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = names;
  t.equal(handles.close(first).handle, all[0]);
  for (const again of ['get', 'close'] as const)
    t.throws(
      () => handles[again](first),
      { code: 'invalid', message: 'this handle is not open' },
      `${again} after it was closed`,
    );
  t.equal(handles.get(second).handle, all[1], 'and no other one is');
  t.throws(() => handles.get(Buffer.alloc(8)), { code: 'invalid' }, 'a name that was never given');
  t.end();
});

test('whether files are open: directories do not count', (t) => {
  const handles = new Handles(new HandlePlaces(10));
  t.equal(handles.hasFiles, false);
  const listing = handles.add(directory());
  t.equal(handles.hasFiles, false, 'a directory is listed');
  for (const file of [upload(), download()]) {
    const name = handles.add(file);
    t.equal(handles.hasFiles, true, `${file.kind}, beside a directory`);
    handles.free(handles.close(name));
    t.equal(handles.hasFiles, false);
  }
  t.ok(handles.get(listing));
  t.end();
});

test('at the end every handle is returned, once', (t) => {
  const handles = new Handles(new HandlePlaces(10));
  const all = [upload(), directory(), download()];
  const names = all.map((one) => handles.add(one));
  t.same(handles.drain(), all);
  t.same(handles.drain(), [], 'none is left');
  for (const name of names) t.throws(() => handles.get(name), { code: 'invalid' });
  t.end();
});

test('an upload is found from every channel of its session while its handle is open, and from no other session', (t) => {
  const places = new HandlePlaces(10);
  const [one, other, stranger] = [new Handles(places), new Handles(places), new Handles(new HandlePlaces(10))];
  const written = { id: 'u' } as Upload;
  const name = one.add({ kind: 'upload', upload: written });
  other.add(upload());
  t.equal(one.findUpload('u'), written);
  t.equal(other.findUpload('u'), written, 'on another channel');
  t.equal(stranger.findUpload('u'), undefined);
  const open = one.close(name);
  t.equal(other.findUpload('u'), undefined, 'its CLOSE has come');
  one.free(open);
  t.equal(places.channels.has(one), false, 'a channel without handles is forgotten');
  one.add({ kind: 'upload', upload: written });
  t.equal(other.findUpload('u'), written, 'until it has one again');
  one.drain();
  t.equal(other.findUpload('u'), undefined, 'nor when its channel is gone');
  t.equal(places.channels.size, 1);
  t.end();
});

test('the channels of a session have their handles from one number', (t) => {
  const places = new HandlePlaces(2);
  const [one, other] = [new Handles(places), new Handles(places)];
  const name = one.add(upload());
  other.add(upload());
  for (const each of [one, other]) t.throws(() => each.requireRoom(), /no more than 2 files may be open at once/);
  const open = one.close(name);
  one.free(open);
  one.free(open);
  t.doesNotThrow(() => other.requireRoom(), 'what one channel closes is free for the other');
  t.equal(places.taken, 1, 'given back once');
  other.drain();
  t.equal(other.drain().length, 0);
  t.equal(places.taken, 0, 'and so is what a channel had that is gone');
  t.end();
});
