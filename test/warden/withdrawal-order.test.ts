// Whoever takes a key away locks its budget before the key and its rotation: the end of a rotation and the passes over
// credentials do so, too, and nobody waits for them while they wait.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { type Test, test } from 'tap';
import { defaultCredentialAges } from '../../server/config/credential-ages.ts';
import { createLogger } from '../../server/observability/logger.ts';
import type { Doing } from '../../server/warden/commands/doing.ts';
import type { Warden } from '../../server/warden/context/context.ts';
import { credentialUseCases } from '../../server/warden/credentials/credential-commands.ts';
import { sweepCredentials } from '../../server/warden/credentials/credential-sweeps.ts';
import { insertItem, insertRotation, openItems } from '../../server/warden/credentials/rotation-queries.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';

const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');

async function scene(t: Test) {
  const given = await startBankDatabase(t);
  const bank = await Bank.create(given, 'acme', 1);
  const { credential } = await bank.addReader();
  const rotation = randomUUID();
  await given.warden.withSystem(async (tx) => {
    await insertRotation(tx, {
      id: rotation,
      selection: 'all',
      reason: 'x',
      by: 'x',
      overlapMs: 3_600_000,
      hasDeadline: true,
    });
    await insertItem(tx, rotation, credential);
    await openItems(tx, rotation, 1);
  });
  const other = new pg.Client({ connectionString: given.sql.wardenUrl });
  await other.connect();
  t.teardown(() => other.end());
  /**
   * Somebody else takes the same key away, and is at the lock of its budget; then `work` begins, and waits for that.
   */
  const meeting = async (work: () => Promise<unknown>): Promise<void> => {
    await other.query("begin; set local cofferdam.customers = '*'; set local lock_timeout = 1000");
    await other.query('select 1 from budget where rank = 1 and credential_id = $1 for update', [credential]);
    const done = work();
    done.catch(() => {});
    for (const end = Date.now() + 30_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 10)))
      if ((await given.sql.query('select 1 from pg_locks where not granted')).length > 0) break;
    // As `endUnproved` and `revoke` go on.
    const goesOn = async (): Promise<void> => {
      await other.query('select 1 from credential where id = $1 for no key update', [credential]);
      await other.query('update rotation_item set state = state where credential_id = $1', [credential]);
    };
    await t.resolves(goesOn(), 'whoever holds the budget waits for nobody');
    await other.query('rollback');
    await done;
  };
  const stateOf = async (): Promise<unknown> =>
    (await given.sql.query('select state from credential where id = $1', [credential]))[0]?.state;
  const warden = { database: given.warden, log, ages: defaultCredentialAges } as unknown as Warden;
  return { ...given, database: given.warden, warden, rotation, credential, meeting, stateOf };
}

test('the end of a rotation locks budgets before keys', async (t) => {
  const { database, warden, rotation, meeting, stateOf } = await scene(t);
  const finish = (): Promise<unknown> =>
    database.withSystem((tx) =>
      credentialUseCases['rotation.finish']({ rotation, laggards: true, reason: 'x' }, {
        tx,
        warden,
        operator: 'alice',
        endSessions: async () => 0,
      } as unknown as Doing),
    );
  await meeting(async () => t.same(await finish(), { retired: 1, sessionsEnded: 0 }));
  t.equal(await stateOf(), 'revoked');
  await t.rejects(finish(), { code: 'conflict' }, 'nothing is left of it');
});

test('the pass over keys whose overlap is over locks budgets before keys', async (t) => {
  const { sql, warden, credential, meeting, stateOf } = await scene(t);
  const sweep = (): Promise<void> =>
    sweepCredentials(warden, { endWithin: async () => ({ count: 0, announce: () => {} }) });
  await sql.query("update credential set expires_at = clock_timestamp() - interval '1 second' where id = $1", [
    credential,
  ]);
  await meeting(sweep);
  t.equal(await stateOf(), 'revoked');
});
