// What an operator releases comes back to a place that people can reach, under a name that belongs to nobody else; or
// the command says what is in the way.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { type DirectoryId, type FileId, idOf } from '../../server/domain/ids.ts';
import type { Doing } from '../../server/warden/commands/doing.ts';
import { retentionUseCases } from '../../server/warden/retention/retention-commands.ts';
import { addDirectory } from '../support/rows.ts';
import { type Seeded, Shelf } from '../support/shelf.ts';

test('a file whose directory is gone or whose name is taken comes back to a path that people can reach, or the command says why not', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const release = (one: Seeded): Promise<unknown> =>
    warden.database.withSystem((tx) =>
      retentionUseCases['file.release']({ version: one.version, days: 2, reason: 'asked by the bank' }, {
        tx,
        operator: 'alice',
      } as Doing),
    );
  const force = (one: Seeded): Promise<unknown> =>
    sql.query("update version set state = 'published', released_until = now() + interval '1 day' where id = $1", [
      one.version,
    ]);
  const directory = (name: string): Promise<DirectoryId> =>
    addDirectory(sql, { customer: shelf.customer, folder: shelf.folder, name });
  const withdrawn = async (name: string, parent: DirectoryId | null): Promise<Seeded> => {
    const file = idOf<FileId>(randomUUID());
    const one = await shelf.add(1, file);
    await sql.query('update file set name = $2, directory_id = $3 where id = $1', [file, name, parent]);
    await shelf.become(one, 'withdrawn');
    return one;
  };

  const month = await directory('2026-11');
  const [below, other] = [await withdrawn('statement.xml', month), await withdrawn('other.xml', month)];
  await t.resolves(release(other), 'the twin: its directory stands');
  t.equal(await shelf.state(other.version), 'published');
  await sql.query('update directory set removed_at = clock_timestamp() where id = $1', [month]);
  await t.rejects(release(below), { code: 'conflict', message: /its directory was removed/ });
  await t.rejects(force(below), /the directory is gone/, 'by nobody');

  const daily = await withdrawn('daily', null);
  const taker = await directory('daily');
  await t.rejects(release(daily), { code: 'conflict', message: /a directory has its name now/ });
  await t.rejects(force(daily), /taken by a directory/, 'by nobody');
  t.same([await shelf.state(below.version), await shelf.state(daily.version)], ['withdrawn', 'withdrawn']);
  await sql.query('update directory set removed_at = clock_timestamp() where id = $1', [taker]);
  await t.resolves(release(daily), 'the twin: the directory went');

  const read = await withdrawn('read.xml', null);
  await sql.query("update version set complete_reads = 3, withdrawn_why = 'reads' where id = $1", [read.version]);
  await release(read);
  t.match(
    await sql.query('select complete_reads, withdrawn_at, withdrawn_why from version where id = $1', [read.version]),
    [{ complete_reads: 0, withdrawn_at: null, withdrawn_why: null }],
    'what was read as often as it may be can be read as often again',
  );
});
