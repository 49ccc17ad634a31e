// T-26, T-31: every action on a name that is taken, by what has the name, whose it is, and whether it was delivered or
// read; each refusal by its reason.
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { defaultLimits } from '../../server/config/config.ts';
import {
  type AccountId,
  type ContentId,
  type CustomerId,
  type FileId,
  type FolderId,
  idOf,
  type NodeName,
  type SessionId,
  type Verb,
} from '../../server/domain/ids.ts';
import { Database, type Transaction } from '../../server/postgres/database.ts';
import { removeFile, renameFile } from '../../server/warden/catalogue/change-file.ts';
import { locateEntry } from '../../server/warden/catalogue/locate.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import type { CustomerScope, FolderScope, OpenSession } from '../../server/warden/sessions/open-session.ts';
import { openUpload } from '../../server/warden/transfers/open-upload.ts';
import { createTestDatabase, type TestDatabase, temporaryDirectory } from '../support/database.ts';
import { addAccount, addContent, addCustomer, addFile, addFolder, addVersion } from '../support/rows.ts';

const [customer, folder] = [idOf<CustomerId>(randomUUID()), idOf<FolderId>(randomUUID())];
const [mine, other] = [idOf<AccountId>(randomUUID()), idOf<AccountId>(randomUUID())];
type Folder = Partial<Pick<FolderScope, 'replaceAllowed' | 'direction'>> & { readonly verbs?: readonly Verb[] };

function sessionIn({ verbs = ['list', 'read', 'write', 'remove'], ...facts }: Folder): OpenSession {
  const scope: FolderScope = {
    id: folder,
    name: 'folder',
    direction: 'deposit',
    publishRule: 'on-close',
    settleMs: 5000,
    readBack: true,
    replaceAllowed: false,
    directoriesAllowed: false,
    ...facts,
    verbs: new Set(verbs),
  };
  const customers: readonly CustomerScope[] = [{ id: customer, name: 'acme', folders: [scope] }];
  const account = {
    id: mine,
    name: 'mine',
    kind: 'machine',
    plane: 'partner',
    customer,
    readOnly: false,
    manages: false,
  } as const;
  const id = idOf<SessionId>(randomUUID());
  const rest = {
    credentialId: randomUUID() as never,
    purpose: 'transfer',
    isOver: false,
    ticket: null,
    start: [],
  } as const;
  return { id, node: idOf<NodeName>('n'), account, customers, ...rest };
}

type Standing = {
  readonly state: 'partial' | 'held' | 'settling' | 'published';
  readonly of: AccountId;
  readonly isRead?: boolean;
  readonly upload?: string;
};
const standings = {
  nothing: [],
  'mine, partial': [{ state: 'partial', of: mine }],
  'mine, held': [{ state: 'held', of: mine }],
  'mine, settling': [{ state: 'settling', of: mine }],
  'theirs, partial': [{ state: 'partial', of: other }],
  'theirs, held': [{ state: 'held', of: other }],
  'mine, delivered': [{ state: 'published', of: mine }],
  'mine, delivered and read': [{ state: 'published', of: mine, isRead: true }],
  'theirs, delivered': [{ state: 'published', of: other }],
} as const satisfies Readonly<Record<string, readonly Standing[]>>;
type Name = keyof typeof standings;
const names = Object.keys(standings) as Name[];

type Wrap = (content: ContentId) => Promise<Buffer>;

async function put(
  sql: TestDatabase,
  wrap: Wrap,
  name: string,
  { state, of, isRead = false }: Standing,
): Promise<FileId> {
  const file = await addFile(sql, { customer, folder, name });
  const content = idOf<ContentId>(randomUUID());
  await addContent(sql, { id: content, customer, wrappedKey: await wrap(content) });
  await addVersion(sql, { customer, file, content, state, account: of, firstReadAt: isRead ? 'now()' : null });
  return file;
}

async function setUp(t: Test) {
  const sql = await createTestDatabase(t);
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => warden.close());
  const runtimeDirectory = join(temporaryDirectory(t), 'var');
  mkdirSync(runtimeDirectory);
  const keys = createKeyRing({ mode: 'development', runtimeDirectory, storeDirectory: runtimeDirectory });
  await addCustomer(sql, { id: customer, name: 'acme' });
  await warden.withCustomers([customer], (tx) => keys.createCustomerKey(tx, customer));
  await addAccount(sql, { id: mine, customer, name: 'mine' });
  await addAccount(sql, { id: other, customer, name: 'other' });
  await addFolder(sql, { id: folder, customer, name: 'folder' });
  const wrap: Wrap = async (content) =>
    (await warden.withCustomers([customer], (tx) => keys.createFileKey(tx, customer, content))).wrappedKey;
  for (const [name, standing] of Object.entries(standings)) for (const one of standing) await put(sql, wrap, name, one);
  for (const state of ['held', 'partial'] as const) await put(sql, wrap, `my ${state}`, { state, of: mine });

  /** The result of an action, in a transaction that is undone: what became of the name, or why it was refused. */
  const outcome = async (work: (tx: Transaction) => Promise<string>): Promise<string> => {
    let said = '';
    const undone = new Error('undone');
    try {
      await warden.withCustomers([customer], async (tx) => {
        said = await work(tx);
        throw undone;
      });
    } catch (error) {
      if (error !== undone)
        return error instanceof Error && 'code' in error ? `${error.code}: ${error.message}` : String(error);
    }
    return said;
  };
  return { sql, wrap, keys, outcome };
}

const at = (session: OpenSession, name: string): ReturnType<typeof locateEntry> =>
  locateEntry(session, ['folder', name], 'write');
/** The live versions of a name: whether a version is not the first one, its state, and whether it has a base. */
async function liveIn(tx: Transaction, name: string): Promise<string> {
  const rows = await tx.query<{ said: string }>(
    `select case when v.number > 1 then 'new ' else '' end || v.state || case when v.base_version_id is null then '' else ' on another' end as said
     from version v join file f on f.id = v.file_id where f.name = $1 and v.state not in ('discarded', 'withdrawn') order by v.number`,
    [name],
  );
  return rows.map((row) => row.said).join(', ') || 'nothing';
}

const inUse = 'conflict: the name is in use';
const exists = 'conflict: the file exists already';
const delivered = 'denied: a delivered file cannot be changed or replaced';
const inPart = 'denied: the file was delivered: send the whole file again';

test('opening a taken name for writing', async (t) => {
  const { keys, outcome } = await setUp(t);
  const open = (name: Name, folderFacts: Folder, mode: { continue: boolean; exclusive: boolean }): Promise<string> =>
    outcome(async (tx) => {
      const session = sessionIn(folderFacts);
      await openUpload(tx, { keys, limits: defaultLimits }, session, at(session, name), mode);
      return liveIn(tx, name);
    });
  const strict = {};
  const replacing = { replaceAllowed: true };
  const cases: Readonly<
    Record<
      Name,
      readonly [anew: string, anewReplacing: string, goingOn: string, goingOnReplacing: string, only: string]
    >
  > = {
    nothing: ['partial', 'partial', 'partial', 'partial', 'partial'],
    'mine, partial': ['new partial', 'new partial', 'partial', 'partial', exists],
    'mine, held': [
      'new partial',
      'new partial',
      'held, new partial on another',
      'held, new partial on another',
      exists,
    ],
    'mine, settling': [
      'new partial',
      'new partial',
      'settling, new partial on another',
      'settling, new partial on another',
      exists,
    ],
    'theirs, partial': [inUse, inUse, inUse, inUse, inUse],
    'theirs, held': [inUse, inUse, inUse, inUse, inUse],
    'mine, delivered': [delivered, 'published, new partial', delivered, 'published, new partial on another', exists],
    'mine, delivered and read': [delivered, 'published, new partial', delivered, inPart, exists],
    'theirs, delivered': [delivered, 'published, new partial', delivered, inPart, exists],
  };
  for (const name of names) {
    const said = [
      await open(name, strict, { continue: false, exclusive: false }),
      await open(name, replacing, { continue: false, exclusive: false }),
      await open(name, strict, { continue: true, exclusive: false }),
      await open(name, replacing, { continue: true, exclusive: false }),
      await open(name, replacing, { continue: false, exclusive: true }),
    ];
    t.same(said, cases[name], name);
  }
});

test('removing a taken name', async (t) => {
  const { outcome } = await setUp(t);
  const remove = (name: Name, folderFacts: Folder): Promise<string> =>
    outcome(async (tx) => {
      const session = sessionIn(folderFacts);
      await removeFile(tx, session, at(session, name));
      return liveIn(tx, name);
    });
  const absent = 'not-found: no such file or directory';
  const stays = 'denied: a delivered file cannot be removed';
  const read = 'denied: the file was already read and stays until its retention ends';
  const forbidden = 'denied: permission denied in this folder';
  const cases: Readonly<
    Record<Name, readonly [deposit: string, collect: string, withoutRemove: string, withoutList: string]>
  > = {
    nothing: [absent, absent, absent, absent],
    'mine, partial': ['nothing', 'nothing', 'nothing', 'nothing'],
    'mine, held': ['nothing', 'nothing', 'nothing', 'nothing'],
    'mine, settling': ['nothing', 'nothing', 'nothing', 'nothing'],
    'theirs, partial': [absent, absent, absent, absent],
    'theirs, held': [absent, absent, absent, absent],
    'mine, delivered': [stays, 'nothing', forbidden, absent],
    'mine, delivered and read': [stays, read, forbidden, absent],
    'theirs, delivered': [stays, 'nothing', forbidden, absent],
  };
  for (const name of names) {
    const said = [
      await remove(name, {}),
      await remove(name, { direction: 'collect' }),
      await remove(name, { direction: 'collect', verbs: ['list', 'write'] }),
      await remove(name, { direction: 'collect', verbs: ['write', 'remove'] }),
    ];
    t.same(said, cases[name], name);
  }
  t.equal(
    await remove('mine, held', { verbs: ['list', 'remove'] }),
    forbidden,
    'what one wrote is taken back by who may write',
  );
});

test('being done with a taken name', async (t) => {
  const { sql, outcome } = await setUp(t);
  const [reads, mayBeDone] = [['list', 'read'] as const, ['list', 'read', 'done'] as const];
  const remove = (name: Name, folderFacts: Folder): Promise<string> =>
    outcome(async (tx) => {
      const session = sessionIn({ direction: 'collect', ...folderFacts });
      await removeFile(tx, session, at(session, name));
      const rows = await tx.query<{ kind: string }>(
        'select kind from ledger_fresh where at >= transaction_timestamp() order by id',
      );
      return `${await liveIn(tx, name)}, ${rows.map((row) => row.kind).join()}`;
    });
  const absent = 'not-found: no such file or directory';
  const ask =
    'denied: files here stay for everybody: to withdraw them for this account, ask the operators of this gateway for the right "done" in this folder';
  const forbidden = 'denied: permission denied in this folder';
  const isDone = 'published, file.done';
  const cases: Readonly<Record<Name, readonly [done: string, without: string, unread: string, deposit: string]>> = {
    nothing: [absent, absent, absent, absent],
    'mine, partial': [forbidden, forbidden, forbidden, forbidden],
    'mine, held': [forbidden, forbidden, forbidden, forbidden],
    'mine, settling': [forbidden, forbidden, forbidden, forbidden],
    'theirs, partial': [absent, absent, absent, absent],
    'theirs, held': [absent, absent, absent, absent],
    'mine, delivered': [isDone, ask, forbidden, 'denied: a delivered file cannot be removed'],
    'mine, delivered and read': [isDone, ask, forbidden, 'denied: a delivered file cannot be removed'],
    'theirs, delivered': [isDone, ask, forbidden, 'denied: a delivered file cannot be removed'],
  };
  for (const name of names) {
    const said = [
      await remove(name, { verbs: mayBeDone }),
      await remove(name, { verbs: reads }),
      await remove(name, { verbs: ['list', 'done'] }),
      await remove(name, { verbs: reads, direction: 'deposit' }),
    ];
    t.same(said, cases[name], name);
  }
  const [{ n } = { n: -1 }] = await sql.query<{ n: number }>('select count(*)::int as n from done_file');
  t.equal(n, 0, 'nothing is left of what was undone');
});

test('renaming: what is renamed, and onto what', async (t) => {
  const { keys, outcome } = await setUp(t);
  const rename = (from: string, to: string, folderFacts: Folder, replace: boolean): Promise<string> =>
    outcome(async (tx) => {
      const session = sessionIn(folderFacts);
      await renameFile(tx, keys, session, at(session, from), at(session, to), replace);
      return `${await liveIn(tx, from)}; ${await liveIn(tx, to)}`;
    });
  const absent = 'not-found: no such file or directory';
  const stays = 'denied: a delivered file cannot be renamed';
  const sources: Readonly<Record<Name, string>> = {
    nothing: absent,
    'mine, partial': 'nothing; partial',
    'mine, held': 'nothing; settling',
    'mine, settling': 'nothing; settling',
    'theirs, partial': absent,
    'theirs, held': absent,
    'mine, delivered': stays,
    'mine, delivered and read': stays,
    'theirs, delivered': stays,
  };
  for (const name of names) t.equal(await rename(name, 'free', {}, false), sources[name], name);
  t.equal(
    await rename('mine, delivered', 'free', { verbs: ['write'] }, false),
    absent,
    'who may not list is not told that it is there',
  );
  t.equal(
    await rename('my held', 'free', { verbs: ['list', 'read'] }, false),
    'denied: permission denied in this folder',
  );
  t.equal(await rename('my held', 'my held', {}, false), 'held; held', 'onto itself');

  const taken = 'conflict: the target exists already';
  const kept = 'denied: a delivered file cannot be replaced';
  const targets: Readonly<Record<Name, readonly [plain: string, replacing: string, replacingDelivered: string]>> = {
    nothing: ['nothing; settling', 'nothing; settling', 'nothing; settling'],
    'mine, partial': [taken, 'nothing; new settling', 'nothing; new settling'],
    'mine, held': [taken, 'nothing; new settling', 'nothing; new settling'],
    'mine, settling': [taken, 'nothing; new settling', 'nothing; new settling'],
    'theirs, partial': [inUse, inUse, inUse],
    'theirs, held': [inUse, inUse, inUse],
    'mine, delivered': [taken, kept, 'nothing; published, new settling'],
    'mine, delivered and read': [taken, kept, 'nothing; published, new settling'],
    'theirs, delivered': [taken, kept, 'nothing; published, new settling'],
  };
  for (const name of names) {
    const said = [
      await rename('my held', name, { replaceAllowed: true }, false),
      await rename('my held', name, {}, true),
      await rename('my held', name, { replaceAllowed: true }, true),
    ];
    t.same(said, targets[name], `onto ${name}`);
  }
});

test('renaming an upload that went beyond a file with a receipt: that one goes with it, and waits below it as before', async (t) => {
  const { sql, wrap, keys, outcome } = await setUp(t);
  for (const state of ['held', 'settling'] as const) {
    const name = `mine, beyond ${state}`;
    const file = await put(sql, wrap, name, { state, of: mine });
    const content = idOf<ContentId>(randomUUID());
    await addContent(sql, { id: content, customer, wrappedKey: await wrap(content) });
    await addVersion(sql, { customer, file, content, state: 'partial', account: mine });
    const onto = (to: string): Promise<string> =>
      outcome(async (tx) => {
        const session = sessionIn({ replaceAllowed: true });
        await renameFile(tx, keys, session, at(session, name), at(session, to), true);
        return `${await liveIn(tx, name)}; ${await liveIn(tx, to)}`;
      });
    t.equal(await onto('free'), `nothing; ${state}, new partial`, `${state}, to a free name`);
    for (const own of ['mine, partial', 'mine, held'])
      t.equal(await onto(own), `nothing; new ${state}, new partial`, `${state}, in the place of ${own}`);
    t.equal(
      await onto('mine, delivered'),
      `nothing; published, new ${state}, new partial`,
      `${state}, above what was delivered`,
    );
  }
});

test('what somebody does to a name is on the record, by what it was and by what it is then', async (t) => {
  const { keys, outcome } = await setUp(t);
  /** The entries that an action leaves, in their order. */
  const entries = (work: (tx: Transaction) => Promise<unknown>): Promise<string> =>
    outcome(async (tx) => {
      await work(tx);
      const rows = await tx.query<{ said: string }>(
        `select kind || ' ' || (public ->> 'path') || coalesce(' to ' || (public ->> 'to') || ', ' || (public ->> 'state'), '') as said
         from ledger_fresh where version_id is not null order by id`,
      );
      return rows.map((row) => row.said).join('; ');
    });
  const remove = (name: string, folderFacts: Folder = {}): Promise<string> =>
    entries((tx) => {
      const session = sessionIn(folderFacts);
      return removeFile(tx, session, at(session, name));
    });
  const rename = (from: string, to: string): Promise<string> =>
    entries((tx) => {
      const session = sessionIn({ replaceAllowed: true });
      return renameFile(tx, keys, session, at(session, from), at(session, to), true);
    });
  const write = (name: string, isContinued: boolean): Promise<string> =>
    entries((tx) => {
      const session = sessionIn({});
      const mode = { continue: isContinued, exclusive: false };
      return openUpload(tx, { keys, limits: defaultLimits }, session, at(session, name), mode);
    });
  t.equal(await remove('mine, partial'), 'upload.given-up /mine, partial');
  for (const name of ['mine, held', 'mine, settling']) t.equal(await remove(name), `file.discarded /${name}`);
  t.equal(await remove('theirs, delivered', { direction: 'collect' }), 'file.withdrawn /theirs, delivered');

  t.equal(await rename('mine, partial', 'free'), 'file.renamed /mine, partial to /free, partial');
  t.equal(await rename('mine, held', 'free'), 'file.renamed /mine, held to /free, settling');
  t.equal(
    await rename('my held', 'mine, partial'),
    'upload.given-up /mine, partial; file.renamed /my held to /mine, partial, settling',
    'what makes room, too',
  );
  t.equal(
    await rename('my partial', 'mine, held'),
    'file.discarded /mine, held; file.renamed /my partial to /mine, held, partial',
  );

  t.equal(await write('mine, partial', false), 'upload.given-up /mine, partial', 'written anew');
  t.equal(await write('mine, held', false), 'file.discarded /mine, held');
  for (const name of ['mine, partial', 'mine, held', 'free'])
    t.equal(await write(name, true), '', `${name}: nothing of it is given up`);
});
