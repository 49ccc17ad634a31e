// Owns: for `node --import` in a copy of the tree whose types were taken out: its TypeScript as it stands there, one
// slip put in. Writes nothing.
// A process of one trial is told its slip by SLIP: JSON of `{ url, start, end, text }`. A process of many (host.mjs)
// sets `trial` before each: then every module of ours is loaded anew for it, under a name of its own, and its test
// hears from host.mjs instead of from the root of tap.
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const copy = pathToFileURL(join(import.meta.dirname, '..', '..', '/')).href;
const stand = new URL('tap-of-trial.mjs', import.meta.url).href;
export const trial = { number: 0, slip: process.env.SLIP === undefined ? null : JSON.parse(process.env.SLIP) };

const isOurs = (url) => url.startsWith(copy) && url.endsWith('.ts') && !url.includes('/node_modules/');

registerHooks({
  resolve(specifier, context, next) {
    const [, number] = context.parentURL?.split('?trial=') ?? [];
    if (number === undefined) return next(specifier, context);
    if (specifier === 'tap') return { url: `${stand}?trial=${number}`, format: 'module', shortCircuit: true };
    const found = next(specifier, context);
    return isOurs(found.url) ? { ...found, url: `${found.url}?trial=${number}` } : found;
  },
  load(url, context, next) {
    const [plain] = url.split('?');
    if (!isOurs(plain)) return next(url, context);
    const source = readFileSync(fileURLToPath(plain), 'utf8');
    const { slip } = trial;
    return {
      format: 'module',
      source:
        slip !== null && plain === slip.url ? source.slice(0, slip.start) + slip.text + source.slice(slip.end) : source,
      shortCircuit: true,
    };
  },
});
