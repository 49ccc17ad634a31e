// Whose a handle is and how long it is valid, what a verb allows, and what the warden itself knows against an upload
// that is stated to be whole.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import {
  type AccountId,
  type ContentId,
  type CustomerId,
  type CustomerKeyId,
  type FileId,
  idOf,
  type Verb,
  type VersionId,
} from '../../server/domain/ids.ts';
import { callChargeBatch } from '../../server/warden/budgets/charge-queries.ts';
import { requireVerb } from '../../server/warden/catalogue/locate.ts';
import type { FolderScope, OpenSession } from '../../server/warden/sessions/open-session.ts';
import { requireWhole } from '../../server/warden/transfers/close-upload.ts';
import { closeDownload, findDownload } from '../../server/warden/transfers/download-queries.ts';
import {
  findClosedBy,
  lockUpload,
  markRefused,
  type OpenUpload,
} from '../../server/warden/transfers/upload-queries.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';
import { addContent, addFile, addVersion } from '../support/rows.ts';

test('a read handle is valid in its own session, while its version is published and the handle is open', async (t) => {
  const bank = await Bank.create(await startBankDatabase(t), 'acme', 1000);
  await bank.addFile(3);
  const [mine, colleague] = [await bank.addReader(), await bank.addReader()];
  const again = await bank.addSession(mine.account, mine.credential);
  const download = mine.downloads[0] ?? '';
  const ask = async (session: typeof mine.session, index: number): Promise<string | undefined> =>
    (await callChargeBatch(bank.warden, [{ session, download, index }]))[0]?.outcome;
  for (const [who, { session }] of Object.entries({
    'a colleague': colleague,
    'another session of the same key': again,
  })) {
    t.equal(await ask(session, 0), 'missing', `${who} gets no key`);
    t.equal(
      await bank.warden.withSystem((tx) => findDownload(tx, download, session)),
      undefined,
      `${who} does not find it`,
    );
    t.equal(
      await bank.warden.withSystem((tx) => closeDownload(tx, download, session, 1, true)),
      undefined,
      `${who} cannot close it`,
    );
  }
  t.equal(await ask(mine.session, 0), 'granted', 'its own session does');
  t.match(await bank.warden.withSystem((tx) => findDownload(tx, download, mine.session)), { extentCount: 3 });
  await bank.sql.query("update version set state = 'withdrawn', withdrawn_at = now() where id = $1", [
    bank.files[0]?.version,
  ]);
  t.same(
    [await ask(mine.session, 0), await ask(mine.session, 1)],
    ['missing', 'missing'],
    'after a withdrawal not even what it had',
  );
  await bank.sql.query(
    "update version set state = 'published', released_until = now() + interval '1 day' where id = $1",
    [bank.files[0]?.version],
  );
  t.equal(await ask(mine.session, 1), 'granted', 'released again, it goes on');
  t.ok(await bank.warden.withSystem((tx) => closeDownload(tx, download, mine.session, 1, true)));
  t.equal(await ask(mine.session, 2), 'missing', 'closed');
});

test('an upload is written, refused and accounted for by the session that opened it', async (t) => {
  const bank = await Bank.create(await startBankDatabase(t), 'acme', 1000);
  await bank.addFile(1);
  const [mine, colleague] = [await bank.addReader(), await bank.addReader()];
  const again = await bank.addSession(mine.account, mine.credential);
  const upload = randomUUID();
  const { sql, warden } = bank;
  const { account, session, customer } = mine;
  const file = await addFile(sql, { customer, folder: bank.folder });
  const content = await addContent(sql, { customer });
  const held = { customer, file, content, state: 'partial', account, session, upload } as const;
  const version = await addVersion(sql, held);
  for (const { session } of [colleague, again]) {
    t.equal(
      await warden.withSystem((tx) => lockUpload(tx, upload, session)),
      undefined,
      'another session does not hold it',
    );
    await warden.withSystem((tx) => markRefused(tx, upload, session, 'invalid'));
  }
  t.match(
    await warden.withSystem((tx) => lockUpload(tx, upload, mine.session)),
    { version, refused: null },
    'its own does, and nobody else spoils it',
  );
  await warden.withSystem((tx) => markRefused(tx, upload, mine.session, 'invalid'));
  await warden.withSystem((tx) => markRefused(tx, upload, mine.session, 'over-limit'));
  t.match(
    await warden.withSystem((tx) => lockUpload(tx, upload, mine.session)),
    { refused: 'invalid' },
    'the first reason stays',
  );
  await sql.query('update version set refused = null where id = $1', [version]);
  await sql.query(
    "update version set state = 'held', sha256 = sha256('x'), closed_at = now(), upload_id = null, closed_by_upload = $2 where id = $1",
    [version, upload],
  );
  const closed = (account: AccountId): Promise<unknown> => warden.withSystem((tx) => findClosedBy(tx, upload, account));
  t.same(
    [await closed(mine.account), await closed(colleague.account)],
    [version, undefined],
    'a repeated close is answered to who closed',
  );
});

test('whoever has a verb may use it; a read-only account changes nothing', async (t) => {
  const verbs: readonly Verb[] = ['list', 'read', 'write', 'remove', 'done'];
  const may = (held: readonly Verb[], readOnly: boolean, verb: Verb): boolean => {
    try {
      requireVerb({ account: { readOnly } } as OpenSession, { verbs: new Set(held) } as unknown as FolderScope, verb);
      return true;
    } catch (error) {
      t.match(error, { code: 'denied' });
      return false;
    }
  };
  for (const verb of verbs) {
    t.equal(may(verbs, false, verb), true, `${verb}: held`);
    t.equal(may(verbs, true, verb), verb === 'list' || verb === 'read', `${verb}: held by a read-only account`);
    t.equal(
      may(
        verbs.filter((one) => one !== verb),
        false,
        verb,
      ),
      false,
      `${verb}: not held`,
    );
  }
});

test('an upload that is stated to be whole is compared with what the warden knows', async (t) => {
  const upload: OpenUpload = {
    mac: null,
    version: idOf<VersionId>(randomUUID()),
    customer: idOf<CustomerId>(randomUUID()),
    content: idOf<ContentId>(randomUUID()),
    customerKey: idOf<CustomerKeyId>(randomUUID()),
    wrappedKey: Buffer.alloc(0),
    file: idOf<FileId>(randomUUID()),
    fileName: 'f',
    size: 100,
    extentCount: 1,
    openedAt: new Date(0),
    base: null,
    resumedBytes: 0,
    refused: null,
  };
  const base = (size: number, isReadable: boolean): OpenUpload['base'] => ({
    version: upload.version,
    content: upload.content,
    size,
    extentCount: 1,
    isReadable,
  });
  const said = { whole: true, size: 100 };
  requireWhole(upload, said);
  for (const fine of [{ resumedBytes: 99 }, { base: base(100, true) }, { base: base(99, false) }])
    requireWhole({ ...upload, ...fine }, said);
  const refusals: readonly (readonly [Partial<OpenUpload>, Partial<typeof said>, RegExp])[] = [
    [{}, { whole: false }, /not whole/],
    [{}, { size: 99 }, /stored size differs/],
    [{}, { size: 101 }, /stored size differs/],
    [{ refused: 'over-limit' }, {}, /part of this file was refused/],
    [{ resumedBytes: 100 }, {}, /nothing was added/],
    [{ base: base(101, true) }, {}, /ends before the bytes that were stored already/],
    [{ base: base(101, false) }, {}, /ends before the bytes that were stored already/],
  ];
  for (const [known, word, why] of refusals)
    t.throws(
      () => requireWhole({ ...upload, ...known }, { ...said, ...word }),
      { code: 'conflict', message: why },
      why.source,
    );
});
