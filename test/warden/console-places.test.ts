// T-35: a line of the console has one place among the transactions at a time: more persons than there are places may
// ask at the same moment, and each gets an answer.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { defaultCredentialAges } from '../../server/config/credential-ages.ts';
import { defaultShares } from '../../server/config/shares.ts';
import { type AccountId, type CustomerId, idOf } from '../../server/domain/ids.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database, type Transaction } from '../../server/postgres/database.ts';
import type { Charging } from '../../server/warden/budgets/charges.ts';
import type { EdgeCaller } from '../../server/warden/callers/edge-caller.ts';
import { doorOf, placeFor, wardenSlots } from '../../server/warden/callers/shares.ts';
import { consoleHandlers } from '../../server/warden/console/console.ts';
import { addKey } from '../../server/warden/credentials/credentials.ts';
import { insertCustomer } from '../../server/warden/customers/customer-queries.ts';
import { sealing } from '../../server/warden/seals/seals.ts';
import type { SessionRegistry } from '../../server/warden/sessions/sessions.ts';
import { twoOfficers } from '../support/agreed.ts';
import { wideBudgets } from '../support/bank.ts';
import { makeKey, namespaces, signedRequest } from '../support/key-requests.ts';
import { startSealBench } from '../support/seal-bench.ts';

const caller = { node: 'partner-1', plane: 'partner' } as EdgeCaller;
const places = 2;

test('more requests for keys at once than a node has places: each is answered', async (t) => {
  const { sql, warden: bench } = await startSealBench(t);
  // Those who wait for a place have ten seconds, as in the table: two that hold one place each and wait for another
  // would never get it.
  const slots = wardenSlots({
    ...defaultShares.warden,
    transactions: { ...defaultShares.warden.transactions, each: places },
  });
  const database = new Database({
    url: sql.wardenUrl,
    applicationName: 'test',
    connectionsMax: 4,
    admission: () => placeFor(slots),
  });
  t.teardown(() => database.close());
  const settings = { ages: defaultCredentialAges, edges: [], budgets: wideBudgets, shares: defaultShares.warden };
  const charges = { take: async () => {} };
  const warden = {
    ...bench,
    database,
    ...settings,
    charges,
    log: createLogger({ log: { level: 'silent', pretty: false } } as never, 'test'),
  } as unknown as Charging;
  const [customer, other] = [idOf<CustomerId>(randomUUID()), idOf<CustomerId>(randomUUID())];
  const [anna, squatter] = [idOf<AccountId>(randomUUID()), idOf<AccountId>(randomUUID())];
  const [own, squatted] = [makeKey(), makeKey()];
  const person = { kind: 'person', plane: 'partner', contact: null, isDemo: false, manages: false } as const;
  const keys = [
    { holder: { id: anna, name: 'anna', customer }, publicKey: own.line, isProved: true },
    { holder: { id: squatter, name: 'zoe', customer: other }, publicKey: squatted.line, isProved: false },
  ];
  const as = <T>(maker: 'operator' | 'console', work: (tx: Transaction) => Promise<T>): Promise<T> =>
    bench.database.withSystem((tx) => sealing(tx, bench, { maker, change: () => null }, () => work(tx)));
  const officers = await twoOfficers(bench);
  for (const { holder, ...key } of keys) {
    await as('operator', (tx) => insertCustomer(tx, holder.customer, `bank-${holder.name}`));
    await officers.account({ ...holder, ...person });
    await as('console', (tx) =>
      addKey({ tx, warden, by: 'x', endSessions: async () => 0 }, { ...key, holder, replaces: null }),
    );
  }
  const account = {
    id: anna,
    name: 'anna',
    customer,
    kind: 'person',
    plane: 'partner',
    manages: false,
    readOnly: false,
  };
  const requireAny = async (id: string) => ({
    id,
    node: caller.node,
    purpose: 'transfer',
    account,
    customers: [{ id: customer }],
  });
  const sessions = { requireAny, goingOn: () => undefined } as unknown as SessionRegistry;
  const handlers = consoleHandlers(warden, sessions);
  const [{ id: installation } = { id: '' }] = await sql.query<{ id: string }>(
    'select id::text as id from installation',
  );
  const door = doorOf(slots, caller);
  const ask = (text: string): Promise<unknown> => {
    const token = randomUUID();
    return door.within({ op: 'console.input', params: {} }, async () => {
      await handlers['console.run']({ token, line: 'keys add' }, caller);
      return handlers['console.input']({ token, text }, caller);
    });
  };

  const tooLong = { outcome: 'done', exitStatus: 1, text: /a key lives at most \d+ days/ };
  t.match(
    await ask(signedRequest(installation, 'anna', own, squatted, namespaces, 4000)),
    tooLong,
    'one that cannot be registered',
  );
  t.match(
    await sql.query('select state from credential where account_id = $1', [squatter]),
    [{ state: 'active' }],
    'ends nothing',
  );
  const good = { outcome: 'done', exitStatus: 0, text: /is good from/ };
  t.match(
    await ask(signedRequest(installation, 'anna', own, squatted)),
    good,
    "one that ends another house's key, which nobody proved to have",
  );
  t.match(await sql.query('select state from credential where account_id = $1', [squatter]), [{ state: 'revoked' }]);

  // One of them is the successor of the key that signs. The others are refused in the last of their transactions, after
  // they ended what there was to end.
  const wanted = Array.from({ length: 3 * places }, makeKey);
  const answers = await Promise.allSettled(wanted.map((key) => ask(signedRequest(installation, 'anna', own, key))));
  for (const answer of answers)
    t.match(answer, {
      status: 'fulfilled',
      value: { outcome: 'done', text: /is good from|is being replaced already/ },
    });
  t.equal(slots.transactions.used, 0, 'and every place is given back');
});
