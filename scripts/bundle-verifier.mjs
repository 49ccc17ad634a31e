// Owns: creating verifier/ledger-verifier.mjs, the verifier as one file for people who check the record: the files
// verifier/*.js one after the other. `--check` reports whether the file is the one that these sources produce. Any
// Node.js from 20 on can run this program.
// Must never: change a line of these files, except for imports, exports and types that refer to another of the files.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = join(dirname(fileURLToPath(import.meta.url)), '..', 'verifier');
const target = join(folder, 'ledger-verifier.mjs');
const importLine = /^import ([\s\S]*?) from '([^']+)';\n/gm;

/** Returns the modules in an order in which each comes after those that it imports. */
function modulesFrom(name, seen = new Map(), open = new Set()) {
  if (seen.has(name)) return seen;
  if (open.has(name)) throw new Error(`${name} imports itself through other modules`);
  open.add(name);
  const text = readFileSync(join(folder, name), 'utf8');
  for (const [, , from] of text.matchAll(importLine))
    if (from.startsWith('./')) modulesFrom(basename(from), seen, open);
  seen.set(name, text);
  return seen;
}

/** Returns one import for each module of Node.js that is used. Throws when anything else is imported. */
function importsOf(texts) {
  const defaults = new Map();
  const named = new Map();
  for (const text of texts)
    for (const [, what, from] of text.matchAll(importLine)) {
      if (from.startsWith('./')) continue;
      if (!from.startsWith('node:')) throw new Error(`${from} is not a module of Node.js`);
      if (what.startsWith('{'))
        named.set(
          from,
          new Set([
            ...(named.get(from) ?? []),
            ...what
              .replace(/[{}\s]/g, '')
              .split(',')
              .filter((one) => one !== ''),
          ]),
        );
      else defaults.set(from, what);
    }
  return [
    ...[...defaults].map(([from, name]) => `import ${name} from '${from}';`),
    ...[...named].sort().map(([from, names]) => `import { ${[...names].sort().join(', ')} } from '${from}';`),
  ].join('\n');
}

function refuseDoubles(texts) {
  const known = new Set();
  for (const text of texts)
    for (const [, name] of text.matchAll(/^(?:export )?(?:async )?(?:function\*?|class|const|let) (\w+)/gm)) {
      if (known.has(name)) throw new Error(`${name} is declared by two modules`);
      known.add(name);
    }
}

export function bundle() {
  const modules = modulesFrom('main.js');
  refuseDoubles(modules.values());
  const bodies = [...modules].map(([name, text]) => {
    const body = text
      .replace(importLine, '')
      .replace(/^export (?=(?:async )?(?:function|class|const|let) )/gm, '')
      // The types of the other modules are types of this one file.
      .replace(/^ \* @typedef \{import\('\.\/[^']+'\)\.(\w+)\} \1\n/gm, '')
      .replace(/import\('\.\/[^']+'\)\./g, '');
    return `// ======== ${name} ${'='.repeat(Math.max(0, 140 - name.length - 13))}\n\n${body.trim()}\n`;
  });
  return `#!/usr/bin/env node
// The verifier of Cofferdam's record: docs/reference/ledger-format.md in one file, for Node 20 or later, without anything else.
// Made by scripts/bundle-verifier.mjs from the files of verifier/, in the order in which they need each other. It is the command, and always runs: \`--help\`.

${importsOf(modules.values())}

${bodies.join('\n')}`;
}

const made = bundle();
if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== made) {
    process.stderr.write('verifier/ledger-verifier.mjs is not what verifier/*.js make: run npm run bundle:verifier\n');
    process.exitCode = 1;
  }
} else writeFileSync(target, made);
