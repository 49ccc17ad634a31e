// The record of a real gateway, its dump and its witness, before the stand-alone verifier: good as it is; a superuser's
// tampering is named.
import { cpSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { project, run, startWorld } from '../support/world.ts';
import { fileText } from '../verifier/make-record.ts';

test('a real record verifies, and a changed row of it is named', async (t) => {
  const world = await startWorld(t);
  writeFileSync(join(world.directory, 'payment.xml'), '<Document/>');
  const put = await world.sftp('acme', ['cd deposit', `put ${join(world.directory, 'payment.xml')}`, 'ls -l']);
  t.equal(put.code, 0, put.err);

  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  t.teardown(() => client.end());
  const rowsOf = async (text: string): Promise<readonly Record<string, string>[]> => (await client.query(text)).rows;
  await rowsOf("set cofferdam.customers = '*'");
  // Once everything is sealed, the rest of the test is about what is there then.
  while ((await rowsOf('select 1 from ledger_fresh')).length > 0)
    await new Promise((resolve) => setTimeout(resolve, 50));

  // The witness first, then the dump.
  const witness = join(world.directory, 'witness-copy');
  cpSync(join(world.directory, 'witness'), witness, { recursive: true });
  t.ok(readdirSync(witness).length > 0);
  const [key] = await rowsOf('select verifier_key from ledger_key');
  const dump = join(world.directory, 'dump.jsonl');
  const verify = async (): Promise<{
    readonly code: number | null;
    readonly report: Record<string, unknown>;
    readonly err: string;
  }> => {
    const lines = await rowsOf('select line from ledger_dump order by part, tree, position');
    writeFileSync(dump, fileText(lines.map(({ line }) => line ?? '')));
    const args = ['dump', '--key', key?.verifier_key ?? '', '--witness', witness, '--json', dump];
    const { code, out, err } = await run(process.execPath, [join(project, 'verifier', 'ledger-verifier.mjs'), ...args]);
    return { code, err, report: out === '' ? {} : JSON.parse(out) };
  };

  const good = await verify();
  t.match(good, { code: 0, err: '', report: { ok: true, found: 0, findings: [] } });
  t.ok(
    Number(good.report.entries) > 10 && Number(good.report.heads) > 1 && Number(good.report.trees) > 1,
    JSON.stringify(good.report),
  );

  const [victim] = await rowsOf(
    "select tree, position, number, kind from ledger_sealed where kind = 'upload.closed' limit 1",
  );
  const at = `tree = '${victim?.tree}' and position = ${victim?.position}`;
  const named = { tree: victim?.tree, position: Number(victim?.position), number: Number(victim?.number) };
  for (const [what, change] of [
    ['changed', `update ledger_sealed set bytes = bytes + 1 where ${at}`],
    ['missing', `delete from ledger_sealed where ${at}`],
  ] as const) {
    // Seen only by this connection, which writes the dump, and undone afterwards.
    await client.query(`begin; set local session_replication_role = replica; ${change}`);
    const bad = await verify();
    t.match(bad, {
      code: 1,
      report: { ok: false, found: 1, firstRow: { what, tree: named.tree, position: named.position } },
    });
    if (what === 'changed') t.match(bad.report.firstRow, named);
    await client.query('rollback');
    t.match(await verify(), { code: 0, report: { ok: true } }, 'as it was');
  }
});
