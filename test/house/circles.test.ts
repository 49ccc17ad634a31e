// The rooms of the house, and the folders in them, import each other in one direction only, so that whoever reads one
// can stop there.
import { dirname, join } from 'node:path';
import { test } from 'tap';
import { circlesIn, foldersAsRooms, importsIn } from '../support/circles.ts';
import { productFolders, sourcesIn } from '../support/sources.ts';

const root = join(import.meta.dirname, '..', '..');
const imports = importsIn(
  root,
  productFolders.flatMap((folder) => sourcesIn(root, folder)),
);
/** `server/warden/…` is the room `server/warden`; `admin-cli/…` is the room `admin-cli`. */
const roomOf = (path: string): string =>
  path
    .split('/')
    .slice(0, path.startsWith('server/') ? 2 : 1)
    .join('/');

/**
 * Rooms whose own folders still import each other in circles. A room without such circles must be removed from this
 * list.
 */
const open: readonly string[] = [];

test('no folder of the table (a room) imports itself by way of others', (t) => {
  const rooms = imports
    .map(({ from, to }) => ({ from: roomOf(from), to: roomOf(to) }))
    .filter(({ from, to }) => from !== to);
  t.ok(rooms.length > 500, `${rooms.length} imports between rooms`);
  t.same(circlesIn(rooms), []);
  t.end();
});

test('no folder imports itself by way of others, in the warden above all', (t) => {
  const circles = circlesIn(foldersAsRooms(imports));
  t.same(
    circles.filter((circle) => !open.includes(roomOf(circle[0] ?? ''))),
    [],
    'move what both need into a folder of its own',
  );
  t.same(
    open.filter((room) => !circles.some((circle) => roomOf(circle[0] ?? '') === room)),
    [],
    'these rooms have no circle any more',
  );
  const ofWarden = new Set(
    imports.filter(({ from }) => roomOf(from) === 'server/warden').map(({ from }) => dirname(from)),
  );
  t.ok(ofWarden.size > 25, `${ofWarden.size} folders of the warden`);
  t.end();
});

test('the rule sees what it is for', (t) => {
  const way = (text: string) => text.split(' ').map((pair) => ({ from: `${pair[0]}/x.ts`, to: `${pair[1]}/y.ts` }));
  t.same(circlesIn(foldersAsRooms(way('ab bc cd'))), []);
  t.same(circlesIn(foldersAsRooms(way('ab bc ca cd'))), [['a', 'b', 'c']]);
  t.same(circlesIn(foldersAsRooms(way('ab ba de ed bd'))), [
    ['a', 'b'],
    ['d', 'e'],
  ]);
  t.same(circlesIn(foldersAsRooms(way('aa'))), [], 'a folder may import itself');
  t.end();
});
