// T-32: what an edge is given back of an upload is on the record, as bytes of the version to which they belong.
import { createHash, randomUUID } from 'node:crypto';
import { test } from 'tap';
import { type CustomerId, type FileId, idOf, type SessionId } from '../../server/domain/ids.ts';
import { sealedLength } from '../../server/extents/sealed-format.ts';
import type { Charging } from '../../server/warden/budgets/charges.ts';
import type { EdgeCaller } from '../../server/warden/callers/edge-caller.ts';
import type { KeyRing } from '../../server/warden/keys/key-ring.ts';
import type { OpenSession } from '../../server/warden/sessions/open-session.ts';
import type { Storing } from '../../server/warden/store/store-client.ts';
import { uploadMac } from '../../server/warden/transfers/handle-seals.ts';
import type { Batching } from '../../server/warden/transfers/transfer-batches.ts';
import { uploadHandlers } from '../../server/warden/transfers/upload-handlers.ts';
import { lockUpload } from '../../server/warden/transfers/upload-queries.ts';
import { type Seeded, Shelf } from '../support/shelf.ts';
import { testStoreKey } from '../support/store.ts';

const caller = { node: 'n', plane: 'partner' } as EdgeCaller;
/** Seals are real; what is behind them is not opened here. */
const keysOf = (customerKeyId: string) =>
  ({
    sealRow: (parts: readonly string[]) => createHash('sha256').update(JSON.stringify(parts)).digest(),
    openFileKey: async () => Buffer.alloc(32, 1),
    createFileKey: async () => ({ customerKeyId, wrappedKey: Buffer.alloc(60) }),
    storeKey: testStoreKey,
  }) as unknown as KeyRing;

async function setUp(t: Parameters<typeof Shelf.create>[0]) {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const customer = shelf.customer;
  const keys = keysOf((await sql.query<{ id: string }>('select id from customer_key'))[0]?.id ?? '');
  /** An upload as a session of the sender has it open. */
  const opened = async (one: Seeded): Promise<{ readonly upload: string; readonly session: OpenSession }> => {
    const [row] = await sql.query<{ upload_id: string; session_id: string }>(
      'select upload_id, session_id from version where id = $1',
      [one.version],
    );
    const [upload, id] = [row?.upload_id ?? '', idOf<SessionId>(row?.session_id ?? '')];
    const account = { id: shelf.account, name: 'acme', plane: 'partner', customer };
    const session = { id, node: 'n', account, customers: [{ id: customer, name: 'acme', folders: [] }], isOver: false };
    const held = await warden.database.withSystem((tx) => lockUpload(tx, upload, id));
    if (held === undefined) throw new Error('nobody holds it');
    await sql.query('update version set upload_mac = $2 where id = $1', [
      one.version,
      uploadMac(keys, upload, { ...held, session: id }),
    ]);
    return { upload, session: session as unknown as OpenSession };
  };
  const charged: string[] = [];
  const handlersOf = (session: OpenSession) =>
    uploadHandlers({
      ...warden,
      keys,
      charges: {
        take: async (
          _session: OpenSession,
          _customer: string,
          direction: string,
          { bytes, items }: { bytes: number; items: number },
        ) => void charged.push(`${direction} ${bytes} ${items}`),
      },
      sessions: {
        require: async () => session,
        requireLettingGo: async () => ({ session, run: (work: (now: OpenSession) => unknown) => work(session) }),
        within: (_session: OpenSession, customers: readonly CustomerId[], work: never) =>
          warden.database.withCustomers(customers, work),
      },
    } as unknown as Charging & Storing & Batching);
  const recorded = () =>
    sql.query<{ version: string; handle: string; extent: number; bytes: number }>(
      "select version_id as version, handle_id as handle, extent, bytes::int from ledger where kind = 'extent.verified' order by at",
    );
  return { shelf, opened, handlersOf, recorded, charged };
}

test('bytes that are read back are recorded as those of the version that has them, charged, and known by their extent', async (t) => {
  const { shelf, opened, handlersOf, recorded, charged } = await setUp(t);
  const file = idOf<FileId>(randomUUID());
  const base = await shelf.add(3, file);
  await shelf.become(base, 'held');
  const version = await shelf.add(2, file);
  await shelf.sql.query('update version set base_version_id = $2 where id = $1', [version.version, base.version]);
  const { upload, session } = await opened(version);
  const handlers = handlersOf(session);
  const token = '';

  const below = await handlers['upload.base-extent']({ token, upload, offset: 25 }, caller);
  t.match(below, { start: 20, bytes: 10 });
  t.match(
    await recorded(),
    [{ version: base.version, handle: upload, extent: 2, bytes: 10 }],
    'of what it goes on from',
  );
  const own = await handlers['upload.verify-extent']({ token, upload, index: 1 }, caller);
  t.match(own, { bytes: 10 });
  t.match(
    (await recorded()).slice(1),
    [{ version: version.version, handle: upload, extent: 1, bytes: 10 }],
    'of its own',
  );
  t.same(charged, ['out 10 0', 'list 0 1', 'out 10 0', 'list 0 1'], 'each is charged');
  await t.rejects(
    handlers['upload.verify-extent']({ token, upload, index: 2 }, caller),
    { code: 'not-found' },
    'not beyond its end',
  );
  await t.rejects(handlers['upload.base-extent']({ token, upload, offset: 30 }, caller), { code: 'not-found' });
  t.equal((await recorded()).length, 2, 'what was not given is not recorded');
});

test('what is written anew is recorded with what it stands instead of; cut to nothing, what waits below it ends by name', async (t) => {
  const { shelf, opened, handlersOf } = await setUp(t);
  const { sql } = shelf;
  for (const cut of [false, true]) {
    const file = idOf<FileId>(randomUUID());
    const waits = await shelf.add(1, file);
    await shelf.become(waits, 'held');
    const partial = await shelf.add(2, file);
    await sql.query('update version set resumed_bytes = size where id = $1', [partial.version]);
    const { upload, session } = await opened(partial);
    await handlersOf(session)['upload.rewrite']({ token: '', upload, cut }, caller);
    const [anew] = await sql.query<{ id: string }>('select id from version where upload_id = $1', [upload]);
    t.ok(anew !== undefined && anew.id !== partial.version, 'a version of its own');
    const entries = await sql.query(
      `select kind, version_id as version, public from ledger where handle_id = $1 order by kind`,
      [upload],
    );
    const rewritten = { kind: 'upload.rewritten', version: anew?.id, public: { instead: partial.version, cut } };
    const ended = { kind: 'file.discarded', version: waits.version, public: { successor: anew?.id } };
    t.same(entries, cut ? [ended, rewritten] : [rewritten], cut ? 'cut' : 'not cut');
    t.same(
      [await shelf.state(waits.version), await shelf.state(partial.version)],
      cut ? ['discarded', 'discarded'] : ['held', 'partial'],
      'what was there',
    );
  }
});

test('an extent within a row is as long as it was said to be, in both of its lengths, or nothing is charged', async (t) => {
  const { shelf, opened, handlersOf, charged } = await setUp(t);
  const { upload, session } = await opened(await shelf.add(0));
  const handlers = handlersOf(session);
  const begun = await handlers['upload.begin-extent']({ token: '', upload }, caller);
  const seal = (bytes: number, sealedBytes: number, sent: number) =>
    handlers['upload.seal-extent'](
      {
        token: '',
        upload,
        extent: {
          index: begun.index,
          objectId: begun.objectId,
          bytes,
          sealedBytes,
          inline: Buffer.alloc(sent, 7).toString('base64'),
        },
      },
      caller,
    );
  const whole = sealedLength(100);
  const unfit = { code: 'invalid', message: 'the length of the extent does not fit its content' };
  for (const [why, bytes, sealedBytes, sent] of [
    ['more than was said', 1, sealedLength(1), 65_536],
    ['one byte more', 100, whole, whole + 1],
    ['one byte less', 100, whole, whole - 1],
    ['nothing', 100, whole, 0],
    ['a plaintext of another length', 99, whole, whole],
  ] as const)
    await t.rejects(seal(bytes, sealedBytes, sent), unfit, why);
  t.same(charged, [], 'nothing was charged');
  t.same(await shelf.sql.query('select 1 from extent where bytes < 101 and bytes <> 10'), [], 'and nothing is stored');
  t.same(await seal(100, whole, whole), { storedBytes: 100 }, 'the twin');
  t.same(charged, ['in 100 0'], 'the file itself was charged when it was opened');
});
