// Polling: a folder that is listed again and again costs its names once, and once more whenever it changed.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { type as fx } from '../../server/edge/sftp/codec.ts';
import { RawSftp } from '../support/raw-sftp.ts';
import { startWorld } from '../support/world.ts';

const names = 300;
/** Every ten seconds for an hour. */
const polls = 360;

test('a folder of 300 names is polled for an hour, and meets no limit until it changes', async (t) => {
  const world = await startWorld(t);
  const owner = new pg.Client({ connectionString: world.databaseUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  await owner.query("select set_config('cofferdam.customers', '*', false)");
  const spent = async (): Promise<number> => {
    const { rows } = await owner.query<{ n: string }>(
      "select b.total_items as n from budget b join account a on a.id = b.account_id where a.name = 'acme-batch' and b.rank = 2 and b.direction = 'list'",
    );
    return Number(rows[0]?.n);
  };
  const local = join(world.directory, 'statement.xml');
  writeFileSync(local, 'statement');
  const put = async (from: number, to: number): Promise<void> => {
    const lines = Array.from({ length: to - from }, (_, i) => `put ${local} acme/collect/statement-${from + i}.xml`);
    t.equal((await world.sftp('processor', lines, 300_000)).code, 0);
  };
  await put(0, names);
  const limited = ['budget', 'tighten', '--customer', 'acme', '--account', 'acme-batch', '--direction', 'list'];
  const hour = ['--files-hour', String(2 * names + 100), '--reason', 'test', '--execute'];
  t.equal((await world.cofferctl([...limited, ...hour])).code, 0);

  const bank = await RawSftp.connect(world, 'acme-batch');
  /** Lists the folder once. Returns the number of names, without those of the directories, or the refusal. */
  const list = async (sftp: RawSftp): Promise<number | string> => {
    const opened = await sftp.client.ask(fx.opendir, '/collect');
    if (opened?.[0] !== fx.handle) return 'not opened';
    const handle = Buffer.from(opened.subarray(5));
    let found = 0;
    for (;;) {
      const page = await sftp.client.ask(fx.readdir, handle);
      if (page?.[0] !== fx.name) {
        await sftp.close(handle);
        const code = page?.readUInt32BE(5);
        return code === 1 ? found - 2 : (page?.toString('utf8') ?? '');
      }
      found += page.readUInt32BE(5);
    }
  };
  t.equal(await list(bank), names);
  const once = await spent();
  t.ok(once >= names, `${once} names for the first time`);
  for (let i = 0; i < polls; i += 1) {
    const found = await list(bank);
    if (found !== names) {
      t.fail(`poll ${i}: ${found}`);
      break;
    }
  }
  t.equal(await spent(), once, 'and nothing for all the others');
  const { rows } = await owner.query<{ n: string }>(
    "select count(*) as n from ledger where kind = 'folder.listed' and account_id = (select id from account where name = 'acme-batch')",
  );
  t.equal(Number(rows[0]?.n), polls + 1, 'each of them is on the record');

  await put(names, names + 1);
  t.equal(await list(bank), names + 1);
  t.equal(await spent(), once + names + 1, 'a page with one more name is another one, and costs all of its names');
  await put(names + 1, names + 2);
  t.match(await list(bank), /limit|budget|names/i, 'the twin: what changed again meets the cap');
  t.equal(await spent(), once + names + 1);
});
