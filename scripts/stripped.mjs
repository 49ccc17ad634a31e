// Owns: loading our TypeScript with the types that were removed when the clone was prepared, through `node --import` in
// every role.
// Must never: load other code for a file than its own bytes produce. When a file is not in the store, or was changed
// since, Node.js strips its types itself.
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Each file in the store is named by the SHA-256 of its source. */
const store = join(import.meta.dirname, '..', 'node_modules', '.cofferdam-stripped');

function strippedOf(source) {
  try {
    return readFileSync(join(store, hash('sha256', source, 'hex')), 'utf8');
  } catch {
    return undefined;
  }
}

registerHooks({
  load(url, context, next) {
    if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context);
    const source = strippedOf(readFileSync(fileURLToPath(url)));
    return source === undefined ? next(url, context) : { format: 'module', source, shortCircuit: true };
  },
});
