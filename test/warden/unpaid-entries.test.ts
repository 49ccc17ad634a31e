// T-35: which entries of the record a credential may leave without paying: openings that were not read yet, and
// repeats. A payment makes room again.
import { test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import { idOf, type VersionId } from '../../server/domain/ids.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { createCharges } from '../../server/warden/budgets/charges.ts';
import type { OpenSession } from '../../server/warden/sessions/open-session.ts';
import type { SessionRegistry } from '../../server/warden/sessions/sessions.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';

const places = 3;
const files = 3 * places;

test('a place that nobody paid for comes back with the payment, and stays occupied without it', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const acme = await Bank.create(given, 'acme', 1000);
  for (let i = 0; i < files; i += 1) await acme.addFile(1);
  const config = {
    log: { level: 'error', pretty: false },
    database: { wardenUrl: sql.wardenUrl },
    // Hardly anything comes back with time.
    limits: { slowdownPatienceMs: 1000, unpaidEntriesAtOnce: places, unpaidEntriesPerMinute: 0.001 },
    credentials: { dormantDays: 90, dayMs: 86_400_000 },
  } as unknown as Config;
  const charges = createCharges({
    config,
    database: warden,
    sessions: {} as SessionRegistry,
    log: createLogger(config, 'warden'),
    admit: undefined,
  });
  t.teardown(() => charges.stop());
  const client = async () => {
    const reader = await acme.addReader();
    const session = {
      id: reader.session,
      node: 'n',
      account: { id: reader.account, name: 'reader', kind: 'machine', plane: 'partner' },
      credentialId: reader.credential,
      customers: [{ id: acme.id, name: 'acme', folders: [] }],
    } as unknown as OpenSession;
    /** What its names have cost so far. */
    const paid = async (): Promise<number> => {
      const [row] = await sql.query<{ n: number }>(
        "select total_items::int as n from budget where rank = 1 and credential_id = $1 and direction = 'list'",
        [reader.credential],
      );
      return row?.n ?? -1;
    };
    const open = (i: number, work: () => Promise<void> = async () => {}) =>
      charges.opening(session, acme.id, reader.downloads[i] ?? '', work);
    const read = (i: number) =>
      charges.release(
        session,
        { customer: acme.id, version: idOf<VersionId>(acme.files[i]?.version ?? '') },
        reader.downloads[i] ?? '',
        0,
      );
    return { paid, open, read };
  };

  await t.test('a client that reads what it opens pays for no name, however many files there are', async (t) => {
    const { paid, open, read } = await client();
    for (let i = 0; i < files; i += 1) {
      await open(i);
      await read(i);
    }
    t.equal(await paid(), 0);
  });

  await t.test(
    'a client that opens and does not read has a number of places, and then each opening costs a name',
    async (t) => {
      const { paid, open, read } = await client();
      for (let i = 0; i < files; i += 1) await open(i);
      t.equal(await paid(), files - places);
      for (let i = 0; i < places; i += 1) await read(i);
      await open(0);
      t.ok((await paid()) <= files - places + places, 'what is read makes room');
    },
  );

  await t.test('a repeat takes a place and gives none back', async (t) => {
    const { paid, open, read } = await client();
    await open(0);
    for (let i = 0; i < 1 + places + 2; i += 1) await read(0);
    t.equal(await paid(), 2, 'the first was paid for by its bytes, so many were free, the rest are names');
  });

  await t.test('a name that leads nowhere is paid for; when the gateway could not look, nothing is', async (t) => {
    const { paid, open } = await client();
    const fails = (code: 'not-found' | 'denied' | 'unavailable' | 'over-limit') =>
      t.rejects(
        open(0, () => Promise.reject(new CofferdamError(code, 'x'))),
        { code },
      );
    for (let i = 0; i < places + 2; i += 1) await fails('unavailable');
    await fails('over-limit');
    t.equal(await paid(), 0);
    for (let i = 0; i < places + 2; i += 1) await fails('not-found');
    t.equal(await paid(), places + 2);
    await fails('denied');
    t.equal(await paid(), places + 3, 'each once, and its place is there for the next one');
  });
});
