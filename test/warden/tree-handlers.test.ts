// T-26: directories and times, as a session asks for them: what is refused changes nothing and is not on the record,
// everything else is, once.
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { test } from 'tap';
import { type CustomerId, type FileId, idOf } from '../../server/domain/ids.ts';
import { frameBytesMax } from '../../server/rpc/framing.ts';
import type { Charging } from '../../server/warden/budgets/charges.ts';
import { createBudgets } from '../../server/warden/budgets/create-budgets.ts';
import type { EdgeCaller } from '../../server/warden/callers/edge-caller.ts';
import { treeHandlers } from '../../server/warden/catalogue/tree-handlers.ts';
import type { OpenSession } from '../../server/warden/sessions/open-session.ts';
import type { Storing } from '../../server/warden/store/store-client.ts';
import { addAccount, addCredential } from '../support/rows.ts';
import { Shelf } from '../support/shelf.ts';

const caller = { node: 'n', plane: 'partner' } as EdgeCaller;

async function setUp(t: Parameters<typeof Shelf.create>[0]) {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const customer = shelf.customer;
  const charged: string[] = [];
  /** `more`: the session's credential, and other limits. */
  const as = (
    account: string,
    folder: object = {},
    { credentialId, limits = warden.limits }: { credentialId?: string; limits?: object } = {},
  ) => {
    const scope = {
      id: shelf.folder,
      name: 'deposit',
      direction: 'deposit',
      directoriesAllowed: true,
      verbs: new Set(['list', 'write']),
      ...folder,
    };
    const session = {
      id: randomUUID(),
      node: 'n',
      credentialId,
      account: { id: account, name: 'acme', plane: 'partner', customer, readOnly: false },
      customers: [{ id: customer, name: 'acme', folders: [scope] }],
    } as unknown as OpenSession;
    return treeHandlers({
      ...warden,
      limits,
      charges: {
        take: async (_session: OpenSession, _customer: string, direction: string, { items }: { items: number }) =>
          void charged.push(`${direction} ${items}`),
        listing: async (_session: OpenSession, _customer: string, _page: string, names: number) =>
          void charged.push(`list ${names}`),
      },
      sessions: {
        require: async () => session,
        within: (_session: OpenSession, customers: readonly CustomerId[], work: never) =>
          warden.database.withCustomers(customers, work),
      },
    } as unknown as Charging & Storing);
  };
  /** The entries since the last look. */
  let last = 0;
  const entries = async (): Promise<readonly string[]> => {
    const rows = await sql.query<{ id: string; said: string }>(
      `select id, kind || ' ' || (public ->> 'path') || coalesce(' ' || (public ->> 'names'), ' ' || (public ->> 'modifiedAt'), '') as said
       from ledger_fresh where id > $1 order by id`,
      [last],
    );
    last = Number(rows.at(-1)?.id ?? last);
    return rows.map((row) => row.said);
  };
  return { shelf, as, entries, charged };
}

test('directories: made, refused, removed', async (t) => {
  const { shelf, as, entries, charged } = await setUp(t);
  const mine = as(shelf.account);
  const path = ['deposit', 'd'];
  const token = '';
  await mine['tree.make-directory']({ token, path }, caller);
  t.same([await entries(), charged.splice(0)], [['directory.made /d'], ['in 1']]);
  await t.rejects(mine['tree.make-directory']({ token, path }, caller), {
    code: 'conflict',
    message: 'it exists already',
  });
  await t.rejects(
    as(shelf.account, { directoriesAllowed: false })['tree.make-directory']({ token, path: ['deposit', 'e'] }, caller),
    {
      code: 'denied',
      message: 'directories cannot be made in this folder',
    },
  );
  await t.rejects(
    as(shelf.account, { verbs: new Set(['list']) })['tree.make-directory']({ token, path: ['deposit', 'e'] }, caller),
    {
      code: 'denied',
      message: 'permission denied in this folder',
    },
  );
  await mine['tree.make-directory']({ token, path: ['deposit', 'd', 'below'] }, caller);
  t.same(await entries(), ['directory.made /d/below'], 'what was refused left nothing');
  await t.rejects(mine['tree.remove-directory']({ token, path }, caller), {
    code: 'conflict',
    message: 'the directory is not empty',
  });
  await t.rejects(as(shelf.account, { directoriesAllowed: false })['tree.remove-directory']({ token, path }, caller), {
    code: 'denied',
    message: 'directories cannot be removed in this folder',
  });
  for (const one of [['deposit', 'd', 'below'], path])
    await mine['tree.remove-directory']({ token, path: one }, caller);
  t.same(await entries(), ['directory.removed /d/below', 'directory.removed /d'], 'from below');
  await t.rejects(mine['tree.remove-directory']({ token, path }, caller), { code: 'not-found' });
  charged.length = 0;
  t.same(await mine['tree.list']({ token, path: ['deposit'], limit: 10 }, caller), { entries: [] });
  t.same(charged, ['list 1'], 'that a folder is empty is an answer, too');
  t.same(await entries(), ['folder.listed / 0'], 'that nothing is there was told, and that is recorded');
});

test('a page holds what fits into one frame, and the next one goes on behind it', async (t) => {
  const { shelf, as, charged } = await setUp(t);
  const names = Array.from({ length: 700 }, (_, i) => `${String(i).padStart(4, '0')}${'"'.repeat(200)}`);
  await shelf.sql.query(
    'insert into directory (id, customer_id, folder_id, name) select gen_random_uuid(), $1, $2, n from unnest($3::text[]) n',
    [shelf.customer, shelf.folder, names],
  );
  const told: string[] = [];
  let after: string | undefined;
  do {
    const page = await as(shelf.account)['tree.list'](
      { token: '', path: ['deposit'], limit: 1000, ...(after === undefined ? {} : { after }) },
      caller,
    );
    t.ok(JSON.stringify(page).length < frameBytesMax, `${page.entries.length} names`);
    told.push(...page.entries.map((one) => one.name));
    after = page.next;
  } while (after !== undefined);
  t.same(told, names, 'each once, in their order');
  t.ok(charged.length > 1, 'in more than one page');
  t.equal(
    charged.reduce((sum, one) => sum + Number(one.split(' ')[1]), 0),
    700,
    'and each name is charged once',
  );
});

test('space: told where something is, and available only where the session may write and the store has room', async (t) => {
  const { shelf, as } = await setUp(t);
  const { sql, warden } = shelf;
  mkdirSync(warden.paths.store, { recursive: true });
  const token = '';
  const credential = await addCredential(sql, { account: shelf.account });
  const customer = shelf.customer;
  for (const scope of [
    { kind: 'credential', credential, customer },
    { kind: 'account', account: shelf.account, customer, isInternal: false },
    { kind: 'customer', customer },
    { kind: 'plane', plane: 'partner' },
    { kind: 'gateway' },
  ] as const)
    await warden.database.withSystem((tx) => createBudgets(tx, scope, warden.budgets));
  const space = (path: readonly string[], folder: object = {}, account: object = {}) =>
    as(shelf.account, folder, { credentialId: credential, ...account })['tree.space'](
      { token, path: [...path] },
      caller,
    );
  const cap = warden.budgets.credential.in.bytes.hour;
  const whole = { capBytes: cap, freeBytes: cap, isWritable: true };
  for (const path of [[], ['deposit']]) t.match(await space(path), whole, `/${path.join('/')}`);
  t.match(await space(['deposit'], { verbs: new Set(['list']) }), {
    capBytes: cap,
    freeBytes: 0,
    freeFiles: 0,
    isWritable: false,
  });
  t.match(await space([], { verbs: new Set(['list']) }), { freeBytes: 0, isWritable: false }, 'nor anywhere below');
  for (const path of [['deposit', 'no'], ['another'], ['deposit', 'no', 'below']])
    await t.rejects(space(path), { code: 'not-found' }, path.join('/'));
  const full = { ...warden.limits, freeSpaceFloorBytes: Number.MAX_SAFE_INTEGER };
  t.match(
    await space(['deposit'], {}, { limits: full }),
    { capBytes: cap, freeBytes: 0, freeFiles: 0, isWritable: true },
    'a full store',
  );
});

test('times: kept for their sender until somebody has read the file, and taken without effect from then on and from others', async (t) => {
  const { shelf, as, entries } = await setUp(t);
  const { sql } = shelf;
  const file = idOf<FileId>(randomUUID());
  const one = await shelf.add(1, file);
  await shelf.become(one, 'published');
  await sql.query("update file set name = 'f' where id = $1", [file]);
  const other = await addAccount(sql, { customer: shelf.customer, name: 'other' });
  const set = (account: string, modifiedAt: number): Promise<unknown> =>
    as(account)['tree.set-times']({ token: '', path: ['deposit', 'f'], modifiedAt }, caller);
  const time = async (): Promise<number> =>
    Number(
      (
        await sql.query<{ s: string }>(
          'select extract(epoch from modified_at)::bigint as s from version where id = $1',
          [one.version],
        )
      )[0]?.s,
    );
  await set(shelf.account, 1_700_000_000);
  t.same([await time(), await entries()], [1_700_000_000, ['file.times-set /f 1700000000']]);
  await set(shelf.account, 1_700_000_000);
  t.same(await entries(), [], 'the same time is no change');
  await set(other, 1_600_000_000);
  t.same([await time(), await entries()], [1_700_000_000, []], 'another account sets nothing');
  await sql.query('update version set first_read_at = now() where id = $1', [one.version]);
  await set(shelf.account, 1_500_000_000);
  t.same([await time(), await entries()], [1_700_000_000, []], 'once it was read it is what its reader saw');
  await t.rejects(
    as(shelf.account)['tree.set-times']({ token: '', path: ['deposit', 'nothing'], modifiedAt: 1 }, caller),
    {
      code: 'not-found',
    },
  );
});
