// No path of the file system is made from a row, or from anything else that was not parsed.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { unparsedPaths } from '../support/path-parts.ts';
import { linesFoundIn } from '../support/planted.ts';

const root = join(import.meta.dirname, '..', '..');
const rooms = [
  'server/warden',
  'server/edge',
  'server/extents',
  'server/admin',
  'server/config',
  'server/verify',
  'server/rpc',
];

/** Expressions that no row can influence, with the reason. */
const allowed: Readonly<Record<string, string>> = {
  "server/config/load.ts: a path of env.COFFERDAM_VAR || 'var'": 'whoever starts the product says where it stands',
  'server/verify/library.ts: a path of name': 'a name that the directory of our own verifier gave',
  'server/warden/self-test/self-test.ts: a path of `/${nameOf(caller)}/${folder}`':
    'a virtual path, which is looked up in the catalogue',
};

test('every path is made of parts that were parsed', (t) => {
  const found = unparsedPaths(join(root, 'tsconfig.json'), root, rooms).map((one) => one.replace(/:\d+:/, ':'));
  t.same(
    found.filter((one) => allowed[one] === undefined),
    [],
    'parse it with server/domain/path-parts.ts, or say above why it is none',
  );
  t.same(
    Object.keys(allowed).filter((one) => !found.includes(one)),
    [],
    'each exception is still one',
  );
  t.end();
});

test('only the parsers make a path part', (t) => {
  const files = readdirSync(join(root, 'server'), { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile() && one.name.endsWith('.ts'))
    .map((one) => join(one.parentPath, one.name));
  t.same(
    files
      .filter((path) => /\bas PathPart\b|idOf<PathPart>|<PathPart>/.test(readFileSync(path, 'utf8')))
      .map((path) => path.slice(root.length + 1)),
    ['server/domain/path-parts.ts'],
  );
  t.end();
});

const planted = `
import { join, resolve } from 'node:path';
declare const parsed: unique symbol;
type PathPart = string & { readonly [parsed]: true };
type ObjectId = string & { readonly object: true };
export const one = (directory: string, row: { file: string; id: ObjectId; n: number }, part: PathPart, kind: 'a' | 'b'): readonly string[] => [
  join(directory, row.file), // 7
  join(directory, 'objects', row.id), // 8
  resolve(directory, \`x-\${row.file}\`), // 9
  \`\${directory}/\${row.file}\`, // 10
  \`/proc/\${row.file}/fd\`, // 11
  join(directory, part, kind, \`\${part}.draft\`, 'x'),
  \`\${directory}/x/\${part}\`,
  \`/proc/\${row.n}/fd\`,
  \`\${row.id}/\${row.file}\`,
];
`;

test('every way to make a path from a row is found, and correct code is not reported', (t) => {
  t.same(linesFoundIn(t, planted, unparsedPaths), [7, 8, 9, 10, 11]);
  t.end();
});
