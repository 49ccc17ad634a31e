// A customer's name counts as proved only by the entry that created or renamed it, in its own tree as the slice shows
// it.
import { randomBytes, randomUUID } from 'node:crypto';
import { test } from 'tap';
import type { Client } from '../../admin-cli/connection/client.ts';
import { provedName } from '../../admin-cli/incident/slice-check.ts';
import { leafOfShown, parseShown } from '../../verifier/index.js';

const customer = randomUUID();
const [salt, sensitive] = [randomBytes(16), randomBytes(32)];
type Fields = readonly (string | number | null)[];
/** What is shown of an entry: its tree, position, time, kind, observer and customer first, its public fields last. */
const entry = (tree: string, kind: string, position = 0, fields: object = { name: 'northbank' }): Fields => [
  ...[tree, position, 1_800_000_000_000_000, kind, 'warden', tree],
  ...[null, null, null, null, null, null, null, null, JSON.stringify(fields)],
];

/** Asks for the name with what a gateway shows, given that the customer's tree has this entry and no other. */
function nameBy(
  shown: Fields,
  more: { readonly inTree?: Fields; readonly path?: readonly string[]; readonly salt?: Buffer } = {},
) {
  const row = parseShown(more.inTree ?? shown);
  if (row === undefined) throw new Error('the test shows no entry');
  const root = Buffer.from(leafOfShown(row, salt, sensitive)).toString('base64');
  const proof = {
    shown,
    salt: (more.salt ?? salt).toString('hex'),
    sensitive: sensitive.toString('hex'),
    path: more.path ?? [],
  };
  return provedName({ call: async () => ({ proof }) } as unknown as Client, customer, { size: 1, root });
}

test('the name of a customer is what the entry says that created it or renamed it', async (t) => {
  const good = entry(customer, 'customer.created');
  t.same(await nameBy(good), { name: 'northbank' });
  const renamed = entry(customer, 'customer.renamed', 0, { name: 'northern-bank', was: 'northbank' });
  const before = { name: 'northbank', until: '2027-01-15T08:00:00.000Z' };
  t.same(await nameBy(renamed), { name: 'northern-bank', before }, 'and what it was called until then');
  const unproved = { call: async () => ({ proof: null }) } as unknown as Client;
  t.equal(
    await provedName(unproved, customer, { size: 1, root: randomBytes(32).toString('base64') }),
    undefined,
    'nothing can be proved',
  );
});

test('anything else that a gateway shows is no name, and nobody is told anything by it', async (t) => {
  const good = entry(customer, 'customer.created');
  const refused = { code: 'corrupt', message: /is not in its record\. Give nobody anything of this/ };
  await t.rejects(nameBy(entry(randomUUID(), 'customer.created')), refused, 'an entry of another customer');
  await t.rejects(nameBy(entry(customer, 'customer.policy')), refused, 'another entry of this customer');
  await t.rejects(nameBy(entry(customer, 'customer.created', 1)), refused, 'at another position');
  await t.rejects(
    nameBy(good, { inTree: entry(customer, 'customer.policy') }),
    refused,
    'an entry that is not in the tree',
  );
  await t.rejects(nameBy(good, { salt: randomBytes(16) }), refused, 'under another salt');
  await t.rejects(nameBy(good, { path: [randomBytes(32).toString('base64')] }), refused, 'a path too long');
  await t.rejects(nameBy(good, { path: ['short'] }), refused, 'a path of no hashes');
});
