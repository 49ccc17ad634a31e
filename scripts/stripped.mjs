// Owns: loading our TypeScript whose types were taken out when the clone was prepared: for `node --import`, in every role.
// Must never: give a file other code than its own bytes make. What is not in the store, or was changed since, Node strips itself.
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Named after the SHA-256 of the source. */
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
