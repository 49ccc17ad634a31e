// T-36: whoever finds a row by its name says for what purpose, and this decides whether the row is relied on. No use
// case finds a row in another way: the owner of the database can give rows other names for a moment, and what two
// operators signed for one account would happen to another.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

const root = join(import.meta.dirname, '..', '..', 'server', 'warden');
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('-queries.ts'))
  .sort();
/** The tables whose rows have seals and names. */
const sealed =
  /\b(?:from|join|update) (?:customer|account|credential|folder|operator|operator_key)\b|\bfind_budgets\(|\bchosen_credentials\(|\bcredential_named\(/;
const byName =
  /\b(?:name|fingerprint) = (?:any \()?\$\d|\bfind_budgets\(\$|\bchosen_credentials\(\$|\bcredential_named\(\$|\bfingerprint = \$1'/;

/** Functions that look rows up by a name and declare no purpose, with the reason. */
const others: Readonly<Record<string, string>> = {
  'authentication/login-queries.ts findAccount': 'a login verifies every row behind it before it opens anything',
  'seals/seal-queries.ts factsOf': 'the fingerprint of a key is the name of its row in the seal',
  'seals/signature-queries.ts findKey': 'the key and its operator are verified by whoever takes a signature',
  'operators/operator-queries.ts endOperatorKey': 'it declares the key that it ends',
  'credentials/credential-queries.ts selectCredentials': 'what is chosen so is revoked or rotated: both only narrow',
  'credentials/credential-queries.ts findUnproved': 'what is found so is ended: it only narrows',
  'credentials/rotation-queries.ts isStaged': 'it says only that a key is registered already, and nothing is done',
  'nodes/node-queries.ts isSourceKnownAt': 'it steers penalties of sources',
  'self-test/self-test-queries.ts ensureCustomer': 'it relies on what it finds: a node reaches what it made itself',
  'self-test/self-test-queries.ts ensureFolder': 'a node reaches what it made itself; a login verifies it',
  'self-test/self-test-queries.ts ensureAccount': 'it relies on what it finds: a node reaches what it made itself',
  'self-test/self-test-queries.ts isUsableKey': 'it says only that nothing is to be done; a login verifies it',
  'self-test/self-test-queries.ts findOwnSeed': 'it relies on what it finds: a node reaches what it made itself',
};

/** What a statement writes is no look-up: `update customer set name = $2`. */
const withoutWrites = (text: string): string => text.replace(/\bset \w+ = \$\d+(?:, \w+ = \$\d+)*/g, 'set');

/** The functions and constants of a file, each with its text. */
function parts(text: string): readonly { readonly name: string; readonly text: string }[] {
  const starts = [...text.matchAll(/^(?:export )?(?:async )?(?:function|const) (\w+)/gm)];
  return starts.map((match, i) => ({ name: match[1] ?? '', text: text.slice(match.index, starts[i + 1]?.index) }));
}

test('every look-up of a sealed row by its name says for what purpose it looks', async (t) => {
  const found = files.flatMap((path) =>
    parts(readFileSync(join(root, path), 'utf8'))
      .filter(({ text }) => sealed.test(text) && byName.test(withoutWrites(text)))
      .map(({ name, text }) => ({
        at: `${path} ${name}`,
        declares: /\bdeclare(?:Found|Scope)\b/.test(text) && /\bpurpose: Purpose\b/.test(text),
      })),
  );
  const past = found.filter((one) => !one.declares).map((one) => one.at);
  t.same(
    past.filter((at) => !(at in others)),
    [],
    'these find a sealed row by its name: call `declareFound` with a parameter `purpose: Purpose`, or say in `others` why nothing relies on it',
  );
  t.same(
    Object.keys(others).filter((at) => !past.includes(at)),
    [],
    'reasons for what is not there',
  );
  t.ok(
    found.filter((one) => one.declares).length >= 7,
    `the door is used: ${found
      .filter((one) => one.declares)
      .map((one) => one.at)
      .join(', ')}`,
  );
});
