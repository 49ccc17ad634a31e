// Owns: the store of stripped.mjs: our TypeScript with its types replaced by blanks, so that every line and column stays where it is.
// prepare.cjs runs it with Node 24; arguments: the files.
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
  // Whole or not there: a role may be starting beside us, or somebody else preparing.
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, stripTypeScriptTypes(source.toString('utf8')));
  renameSync(draft, path);
}
for (const name of readdirSync(store)) if (!name.includes('.') && !wanted.has(name)) rmSync(join(store, name), { force: true });
