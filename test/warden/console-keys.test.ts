// T-24: whose keys a person may confirm and revoke over the console, and by whose key a new one is requested; each
// refusal by its reason, over real rows.
import { randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import { defaultCredentialAges } from '../../server/config/credential-ages.ts';
import { type AccountId, type CustomerId, idOf } from '../../server/domain/ids.ts';
import { keyRequestNamespace } from '../../server/domain/key-request.ts';
import { requestKey } from '../../server/warden/console/key-requests.ts';
import { confirm, type Person, revokeKey } from '../../server/warden/console/verbs.ts';
import type { Acting } from '../../server/warden/credentials/credentials.ts';
import { type Key, makeKey, namespaces, signedRequest } from '../support/key-requests.ts';
import { addAccount, addCredential, addCustomer } from '../support/rows.ts';
import { startSealBench } from '../support/seal-bench.ts';

const [acme, globex] = [idOf<CustomerId>(randomUUID()), idOf<CustomerId>(randomUUID())];
const people = {
  alice: { customer: acme, kind: 'person', manages: true },
  bob: { customer: acme, kind: 'person', manages: true },
  carol: { customer: acme, kind: 'person', manages: false },
  batch: { customer: acme, kind: 'machine', manages: false },
  theirs: { customer: globex, kind: 'machine', manages: false },
} as const;
type Name = keyof typeof people;
const ids = Object.fromEntries(Object.keys(people).map((name) => [name, idOf<AccountId>(randomUUID())])) as Readonly<
  Record<Name, AccountId>
>;

const personOf = (name: Name): Person =>
  ({
    account: { id: ids[name], name, plane: 'partner', readOnly: false, ...people[name] },
    customers: [],
  }) as unknown as Person;

async function setUp(t: Test) {
  const { sql, warden } = await startSealBench(t);
  await addCustomer(sql, { id: acme, name: 'acme' });
  await addCustomer(sql, { id: globex, name: 'globex' });
  for (const [name, facts] of Object.entries(people)) await addAccount(sql, { id: ids[name as Name], name, ...facts });
  const addKey = async (holder: Name, issuedBy: string, waits: string): Promise<Key> => {
    const key = makeKey();
    await addCredential(sql, {
      account: ids[holder],
      algorithm: 'ssh-ed25519',
      publicKey: key.blob,
      fingerprint: key.fingerprint,
      issuedBy,
      validFrom: `now() + interval '${waits}'`,
      expiresAt: "now() + interval '9 days'",
    });
    return key;
  };
  /** The result, in a transaction that is undone. */
  const outcome = async (name: Name, work: (acting: Acting, person: Person) => Promise<unknown>): Promise<string> => {
    const undone = new Error('undone');
    let said = '';
    try {
      await warden.database.withSystem(async (tx) => {
        const acting = {
          tx,
          warden: { ...warden, ages: defaultCredentialAges, edges: [] },
          by: `account ${name}`,
          endSessions: async () => 0,
        } as unknown as Acting;
        said = String(await work(acting, personOf(name)));
        throw undone;
      });
    } catch (error) {
      if (error !== undone)
        return error instanceof Error && 'code' in error ? `${error.code}: ${error.message}` : String(error);
    }
    return said;
  };
  const [{ id: installation } = { id: '' }] = await sql.query<{ id: string }>(
    'select id::text as id from installation',
  );
  return { addKey, outcome, installation };
}

const unknown = 'not-found: no account that you manage has this key';

test('a key is confirmed by a second person who manages its account, and revoked by any such person', async (t) => {
  const { addKey, outcome } = await setUp(t);
  const waiting = await addKey('batch', 'account alice', '1 day');
  const good = await addKey('batch', 'account alice', '-1 day');
  const [ofCarol, ofAlice, foreign] = [
    await addKey('carol', 'account carol', '1 day'),
    await addKey('alice', 'operator o', '1 day'),
    await addKey('theirs', 'account x', '1 day'),
  ];
  const confirmed = (name: Name, key: Key): Promise<string> =>
    outcome(name, (acting, person) => confirm(acting, person, key.fingerprint));
  const revoked = (name: Name, key: Key): Promise<string> =>
    outcome(name, (acting, person) => revokeKey(acting, person, key.fingerprint));

  t.equal(
    await confirmed('alice', waiting),
    'denied: a key is confirmed by a second person, not by the one who asked for it',
  );
  t.equal(await confirmed('bob', waiting), `${waiting.fingerprint} of batch is good now`, 'the twin');
  t.equal(await confirmed('bob', good), 'conflict: this key is not waiting for a confirmation');
  t.equal(await confirmed('carol', ofCarol), 'denied: your account does not manage the accounts of your organisation');
  t.equal(
    await confirmed('alice', ofAlice),
    `${ofAlice.fingerprint} of alice is good now`,
    "one's own, that an operator issued",
  );
  for (const key of [ofCarol, foreign]) {
    t.equal(await confirmed('bob', key), unknown, 'of another person, or of another house');
    t.equal(await revoked('bob', key), unknown);
  }
  t.match(await revoked('bob', good), /of batch was revoked for good/);
  t.match(await revoked('carol', ofCarol), /of carol was revoked for good/, "one's own");
  t.equal(await revoked('carol', good), unknown, 'who manages nobody');
  t.equal(
    await outcome('alice', (acting, person) => revokeKey(acting, person, makeKey().fingerprint)),
    unknown,
    'a key that nobody has',
  );
});

test('a new key is requested by a current key of its own account', async (t) => {
  const { addKey, outcome, installation } = await setUp(t);
  const own = await addKey('batch', 'operator o', '-1 day');
  const waiting = await addKey('batch', 'operator o', '1 day');
  const [ofAlice, ofCarol, foreign] = [
    await addKey('alice', 'operator o', '-1 day'),
    await addKey('carol', 'operator o', '-1 day'),
    await addKey('theirs', 'operator o', '-1 day'),
  ];
  const wanted = makeKey();
  const ask = (name: Name, request: string): Promise<string> =>
    outcome(name, (acting, person) => requestKey(acting, person, request));
  const how = `(ssh-keygen -Y sign -n ${keyRequestNamespace})`;
  const notSigned = `denied: neither signature is one by a current key of batch ${how}`;
  for (const [what, signer] of [
    ['of the person who asks', ofAlice],
    ['of another house', foreign],
    ['that is not good yet', waiting],
    ['that nobody has', makeKey()],
  ] as const)
    t.equal(await ask('alice', signedRequest(installation, 'batch', signer, wanted)), notSigned, `a key ${what}`);
  t.equal(
    await ask('alice', signedRequest(installation, 'batch', own, wanted, { ...namespaces, current: 'file' })),
    notSigned,
    'signed for something else',
  );
  // The twin: its signature is accepted, and the next one is examined.
  const unproved = signedRequest(installation, 'batch', own, wanted, { ...namespaces, wanted: 'file' });
  t.equal(await ask('alice', unproved), `denied: neither signature is one by the new key itself ${how}`);
  const notYours =
    'denied: you may ask for keys of your own account and, when you manage them, of the machine accounts of your organisation';
  const elsewhere = signedRequest('7b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11', 'batch', own, wanted);
  t.match(
    await ask('alice', elsewhere),
    /^denied: the request is for another installation than this one, which is /,
    'signed for another gateway',
  );
  t.equal(await ask('carol', signedRequest(installation, 'batch', own, wanted)), notYours, 'who manages nobody');
  t.equal(await ask('alice', signedRequest(installation, 'carol', ofCarol, wanted)), notYours, 'another person');
  t.equal(await ask('alice', signedRequest(installation, 'theirs', foreign, wanted)), notYours, 'another house');
});
