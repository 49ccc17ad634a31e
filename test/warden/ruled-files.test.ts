// T-26: another publish rule of a folder reaches the files that are complete and not published yet: none of them waits
// for what its folder does not know any more.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { type FileId, idOf, type VersionId } from '../../server/domain/ids.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import { type FolderRules, usualRules } from '../../server/warden/folders/folder-queries.ts';
import { applyPublishRule } from '../../server/warden/folders/rule-change.ts';
import { addDirectory } from '../support/rows.ts';
import { type Seeded, Shelf } from '../support/shelf.ts';

async function setUp(t: Parameters<typeof Shelf.create>[0]) {
  const shelf = await Shelf.create(t);
  const rules: FolderRules = usualRules('deposit', shelf.warden.limits);
  const told: unknown[] = [];
  const change = (tx: Transaction, before: Partial<FolderRules>, after: Partial<FolderRules>) =>
    applyPublishRule(
      tx,
      { ...rules, id: shelf.folder, customer: shelf.customer, ...before },
      { ...rules, settleMs: 60_000, ...after },
      async (reached) => void told.push(reached),
    );
  return {
    shelf,
    told,
    change: (before: Partial<FolderRules>, after: Partial<FolderRules>) =>
      shelf.warden.database.withSystem((tx) => change(tx, before, after)),
  };
}
const onMarker = { publishRule: 'on-marker' } as const;

test('files of every state follow the rule of their folder', async (t) => {
  const { shelf, change, told } = await setUp(t);
  const { sql } = shelf;
  const called = async (name: string, state: string, directory: string | null = null): Promise<Seeded> => {
    const file = idOf<FileId>(randomUUID());
    const one = await shelf.add(1, file);
    await sql.query('update file set name = $2, directory_id = $3 where id = $1', [file, name, directory]);
    await shelf.become(one, state);
    return one;
  };
  const inDots = await addDirectory(sql, { customer: shelf.customer, folder: shelf.folder, name: '.uploading' });
  const inPlain = await addDirectory(sql, { customer: shelf.customer, folder: shelf.folder, name: 'd' });
  await called('held.xml', 'held');
  await called('below.xml', 'held', inPlain);
  await called('held.tmp', 'held');
  await called('dots.xml', 'held', inDots);
  await called('open.xml', 'partial');
  await called('delivered.xml', 'published');
  await called('gone.xml', 'withdrawn');
  const states = async (): Promise<Readonly<Record<string, string>>> =>
    Object.fromEntries(
      (
        await sql.query<{ name: string; said: string }>(
          `select f.name, v.state || case when v.publish_at between now() + interval '50 seconds' and now() + interval '61 seconds' then ' in a minute'
             when v.publish_at is not null then ' at another time' else '' end as said
           from version v join file f on f.id = v.file_id order by f.name`,
        )
      ).map(({ name, said }) => [name, said]),
    );
  const others = {
    'delivered.xml': 'published',
    'dots.xml': 'held',
    'gone.xml': 'withdrawn',
    'held.tmp': 'held',
    'open.xml': 'partial',
  };
  const ruled = async (): Promise<readonly string[]> =>
    (
      await sql.query<{ said: string }>(
        "select (public ->> 'folder') || (public ->> 'path') || ' ' || (public ->> 'state') as said from ledger where kind = 'file.ruled' order by at, said",
      )
    ).map(({ said }) => said);

  t.same(await change({}, { publishRule: 'on-rename' }), { held: 0, settling: 0 }, 'markers have no part in it');
  t.same(await change({}, { marker: '.ok' }), { held: 0, settling: 0 }, 'nor in this');
  t.same(await states(), { ...others, 'held.xml': 'held', 'below.xml': 'held' });
  t.same(await change(onMarker, { ...onMarker, marker: '.ok' }), { held: 2, settling: 0 }, 'what waits is told');
  t.same(await states(), { ...others, 'held.xml': 'held', 'below.xml': 'held' });
  t.same(await ruled(), [], 'and nothing was changed');

  t.same(await change(onMarker, {}), { held: 0, settling: 2 }, 'markers publish no more');
  const settling = 'settling in a minute';
  t.same(await states(), { ...others, 'held.xml': settling, 'below.xml': settling });
  t.same((await ruled()).toSorted(), ['deposit/d/below.xml settling', 'deposit/held.xml settling']);
  await called('other.xml', 'held');
  t.same(await change({}, onMarker), { held: 3, settling: 0 }, 'markers publish from now on');
  t.same(await states(), { ...others, 'held.xml': 'held', 'below.xml': 'held', 'other.xml': 'held' });
  t.equal((await ruled()).filter((said) => said.endsWith(' held')).length, 2, 'one of them waited already');
  t.same(told.slice(2), [
    { held: 2, settling: 0 },
    { held: 0, settling: 2 },
    { held: 3, settling: 0 },
  ]);
});

test('what is being closed when the rule changes is waited for, and follows the new rule', async (t) => {
  const { shelf, change } = await setUp(t);
  const one = await shelf.add(1);
  let closed: () => void = () => {};
  const isClosing = new Promise<void>((resolve) => {
    closed = resolve;
  });
  let end: () => void = () => {};
  const mayEnd = new Promise<void>((resolve) => {
    end = resolve;
  });
  const closing = shelf.warden.database.withSystem(async (tx) => {
    await tx.query(
      "update version set state = 'held', sha256 = sha256('x'), closed_at = now(), upload_id = null, receipt = 'r' where id = $1",
      [one.version],
    );
    closed();
    await mayEnd;
  });
  await isClosing;
  const changing = change(onMarker, {});
  setTimeout(end, 300);
  t.same(await changing, { held: 0, settling: 1 });
  await closing;
  t.equal(await shelf.state(one.version), 'settling');
});

test('more files than one change can reach are refused in words, and nothing is changed', async (t) => {
  const { shelf, change } = await setUp(t);
  const { sql } = shelf;
  const one = await shelf.add(1);
  await shelf.become(one, 'held');
  const more = async (count: number): Promise<void> => {
    await sql.query(
      `with made as materialized (select gen_random_uuid() as file, gen_random_uuid() as content from generate_series(1, $1)),
         files as (insert into file (id, customer_id, folder_id, name) select m.file, $2, $3, m.file::text from made m returning id),
         contents as (insert into content (id, customer_id, customer_key_id, wrapped_key)
           select m.content, c.customer_id, c.customer_key_id, c.wrapped_key from made m, content c where c.id = $4 returning id)
       insert into version (id, customer_id, file_id, folder_id, number, content_id, state, account_id, session_id, node, sha256, closed_at, receipt)
       select gen_random_uuid(), v.customer_id, m.file, v.folder_id, 1, m.content, 'held', v.account_id, v.session_id, v.node, v.sha256, v.closed_at, 'r'
       from made m, version v where v.id = $5 and (select count(*) from files) + (select count(*) from contents) > 0`,
      [count, shelf.customer, shelf.folder, one.content, one.version],
    );
  };
  await more(1999);
  const began = performance.now();
  t.same(await change(onMarker, {}), { held: 0, settling: 2000 }, 'the twin');
  t.comment(`${Math.round(performance.now() - began)} ms`);
  await more(1);
  const refused = { code: 'over-limit', message: /more than 2000 files of this folder are not published yet/ };
  await t.rejects(change({}, onMarker), refused);
  t.equal(await shelf.state(idOf<VersionId>(one.version)), 'settling');
});
