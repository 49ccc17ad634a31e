// A file exports what another file imports, and nothing else. `knip` finds more (files, packages) and allows one thing
// that this test does not: a type that is exported only because it stands in the signature of a function (decision 48).
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { temporaryDirectory } from '../support/database.ts';
import { productFolders, sourcesIn, unusedExports } from '../support/sources.ts';

const root = join(import.meta.dirname, '..', '..');

test('every export has an importer', (t) => {
  const all = productFolders.flatMap((folder) => sourcesIn(root, folder));
  t.ok(all.length > 600, `${all.length} files`);
  t.same(unusedExports(root, all), [], 'nobody imports these: take the word `export` away, or remove them');
  t.end();
});

test('the rule sees what it is for', (t) => {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'server'));
  writeFileSync(
    join(directory, 'server', 'one.ts'),
    'export type Shown = string;\nexport const used = 1;\nexport function dead(): Shown {}\n',
  );
  writeFileSync(join(directory, 'server', 'two.ts'), "import { used } from './one.ts';\nconsole.log(used);\n");
  t.same(unusedExports(directory, sourcesIn(directory, 'server'), ['server']).toSorted(), [
    'server/one.ts Shown',
    'server/one.ts dead',
  ]);
  t.end();
});
