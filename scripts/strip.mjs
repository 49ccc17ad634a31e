// Owns: writing the store that stripped.mjs reads: our TypeScript with its types replaced by spaces, so that every line
// and column keeps its number. prepare.cjs runs this program with Node.js 24. Its arguments are the files.
import { hash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';

const store = join(import.meta.dirname, '..', 'node_modules', '.cofferdam-stripped');
mkdirSync(store, { recursive: true });
const wanted = new Set();
for (const file of process.argv.slice(2)) {
  const source = readFileSync(file);
  const name = hash('sha256', source, 'hex');
  wanted.add(name);
  const path = join(store, name);
  // The file is renamed into place when it is complete, because a role may be starting, or another process preparing,
  // at the same time.
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, stripTypeScriptTypes(source.toString('utf8')));
  renameSync(draft, path);
}
for (const name of readdirSync(store))
  if (!name.includes('.') && !wanted.has(name)) rmSync(join(store, name), { force: true });
