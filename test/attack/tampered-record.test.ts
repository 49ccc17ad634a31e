// T-21: somebody who has the database, as its superuser and with all triggers off, changes what was witnessed. The
// stand-alone verifier finds it, and names the first bad row.
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Test, test } from 'tap';
import { parseNote } from '../../server/domain/ledger/checkpoint.ts';
import { checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';
import { copyDatabase, dropDatabases, siblingName } from '../support/database-copies.ts';
import { recompute } from '../support/forger.ts';
import { type Evidence, newestNote, told, verifyRecord, witnessed } from '../support/verified-record.ts';
import { startWorld, type World } from '../support/world.ts';

type Row = { readonly tree: string; readonly position: number; readonly number: number };
type Scene = {
  /** The record as it is, and as it was earlier; each with the witness of its time. */
  readonly kept: Evidence;
  readonly older: Evidence;
  /** A second copy, for what a rollback cannot undo. */
  readonly forged: Evidence;
  sql<T extends object>(text: string): Promise<readonly T[]>;
};

const place = 'tree::text, position::int, number::int';

async function traffic(t: Test, world: World, name: string, listings: number): Promise<void> {
  const file = `${name}-${listings}`;
  const put = [
    ...Array.from({ length: listings }, () => 'ls deposit'),
    `put ${join(world.directory, 'demo.json')} deposit/${file}`,
  ];
  const customer = name.replace('-batch', '');
  t.equal((await world.sftpWhenServed(name, put)).code, 0, `${name} puts a file`);
  const got = await world.sftp('processor', [`get ${customer}/deposit/${file} ${join(world.directory, 'got')}`]);
  t.equal(got.code, 0, `and the processor collects ${got.err}`);
}

async function setUp(t: Test): Promise<Scene> {
  const world = await startWorld(t);
  const url = world.databaseUrl;
  const keepWitness = (name: string) => (): void =>
    cpSync(join(world.directory, 'witness'), join(world.directory, name), { recursive: true });
  const [older, kept, forged] = ['older', 'kept', 'forged'].map((word) => siblingName(url, word)) as [
    string,
    string,
    string,
  ];
  t.teardown(() => dropDatabases(url, [older, kept, forged]));
  await traffic(t, world, 'acme-batch', 20);
  const { key } = await witnessed(world);
  const olderUrl = await copyDatabase(url, older, keepWitness('witness-older'));
  await traffic(t, world, 'globex-batch', 10);
  // More than one block of 256.
  await traffic(t, world, 'acme-batch', 280);
  await witnessed(world);
  const keptUrl = await copyDatabase(url, kept, keepWitness('witness-kept'));
  const forgedUrl = await copyDatabase(keptUrl, forged);
  const client = new pg.Client({ connectionString: keptUrl });
  await client.connect();
  t.teardown(() => client.end());
  const witness = join(world.directory, 'witness-kept');
  return {
    kept: { url: keptUrl, key, witness },
    older: { url: olderUrl, key, witness: join(world.directory, 'witness-older') },
    forged: { url: forgedUrl, key, witness },
    sql: async <T extends object>(text: string) => (await client.query(text)).rows as T[],
  };
}

/** The smallest change of a column, by its type. */
function edit(column: string, type: string): string {
  const others: Readonly<Record<string, string>> = {
    tree: "'ffffffff-ffff-ffff-ffff-fffffffffffe'",
    position: 'position + 1000000',
    number: 'number + 1000000',
    plane: "case plane when 'partner' then 'internal' else 'partner' end",
    observer: "case observer when 'warden' then 'edge' else 'warden' end",
  };
  const byType: Readonly<Record<string, string>> = {
    uuid: 'gen_random_uuid()',
    bigint: `coalesce(${column}, 0) + 1`,
    integer: `coalesce(${column}, 0) + 1`,
    text: `coalesce(${column}, '') || ' '`,
    bytea: `set_byte(${column}, 0, get_byte(${column}, 0) # 1)`,
    jsonb: `${column} || '{"x": 1}'`,
    inet: "'192.0.2.1'::inet",
    'timestamp with time zone': `${column} + interval '1 microsecond'`,
  };
  const value = others[column] ?? byType[type];
  if (value === undefined) throw new Error(`how is a ${type} changed?`);
  return value;
}

test('each change of a witnessed record is found, and its first row is named', async (t) => {
  const { kept, older, forged, sql } = await setUp(t);
  const [acme] = await sql<{ tree: string; size: number; last: number }>(
    `select tree::text, count(*)::int as size, max(number)::int as last from ledger_sealed where tree = (select id from customer where name = 'acme') group by tree`,
  );
  if (acme === undefined) throw new Error('no tree');
  const rowOf = async (where: string): Promise<Row> => {
    const [row] = await sql<Row>(
      `select ${place} from ledger_sealed where tree = '${acme.tree}' and ${where} order by position limit 1`,
    );
    if (row === undefined) throw new Error(`no row ${where}`);
    return row;
  };
  const good = await verifyRecord(kept);
  t.match(
    [good.code, good.report],
    [0, { ok: true, found: 0, unwitnessed: { heads: 0, entries: 0 } }],
    'as it is: nothing is found',
  );
  t.ok(
    good.report.entries > 300 && acme.size > 256,
    `${good.report.entries} entries, ${acme.size} in one tree: more than a block`,
  );
  t.equal((await verifyRecord(older)).code, 0, 'nor in the older copy, against the witness of its time');

  const found = async (
    what: string,
    tamper: readonly string[],
    row: Partial<Row>,
    kind: string | RegExp,
  ): Promise<void> => {
    const { code, report } = await verifyRecord(kept, tamper);
    t.match(
      [code, report.firstRow],
      [
        1,
        {
          what: kind,
          tree: row.tree,
          position: row.position,
          ...(row.number === undefined ? {} : { number: row.number }),
        },
      ],
      `${what}: ${report.firstRow?.text ?? told(report)}`,
    );
  };

  const granted = await rowOf("kind = 'extent.granted'");
  const opened = await rowOf("kind = 'session.opened'");
  const columns = await sql<{ name: string; type: string }>(
    "select column_name as name, data_type as type from information_schema.columns where table_name = 'ledger_sealed' and is_generated = 'NEVER' order by ordinal_position",
  );
  for (const { name, type } of columns) {
    // The order of arrival inside the database, which is no part of the record.
    if (name === 'id') continue;
    // Each on a row that has it.
    const row = /credential|source|client/.test(name) ? opened : granted;
    const { number, ...where } = row;
    await found(
      name,
      [`update ledger_sealed set ${name} = ${edit(name, type)} where number = ${number}`],
      ['number', 'tree', 'position'].includes(name) ? where : row,
      name === 'tree' || name === 'position' ? 'missing' : 'changed',
    );
  }
  t.equal(
    (await verifyRecord(kept, ['update ledger_sealed set id = id + 1000000'])).code,
    0,
    'twin: what is no part of the record',
  );

  const here = `tree = '${acme.tree}'`;
  const middle = await rowOf('position = 100');
  await found(
    'deleted',
    [`delete from ledger_sealed where number = ${middle.number}`],
    { tree: acme.tree, position: 100 },
    'missing',
  );
  await found(
    'deleted, and the others moved up',
    [
      `delete from ledger_sealed where number = ${middle.number}`,
      `update ledger_sealed set position = position - 1 where ${here} and position > 100`,
      `update ledger_sealed set number = number - 1 where ${here} and number > ${middle.number}`,
    ],
    { tree: acme.tree, position: 100 },
    'missing',
  );
  const everywhere = await verifyRecord(kept, [
    `delete from ledger_sealed where number = ${middle.number}`,
    `update ledger_sealed set position = position - 1 where ${here} and position > 100`,
    `update ledger_sealed set number = number - 1 where number > ${middle.number}`,
  ]);
  t.match(
    everywhere.report.findings.find((one) => one.tree === acme.tree),
    { what: 'missing', position: 100 },
    'with every later number of other trees changed too, the gap itself is named beside them',
  );
  const copy = columns.map(({ name }) => name).join(', ');
  const copied = (position: string, number: string): string =>
    `insert into ledger_sealed (${copy}) select ${columns
      .map(({ name }) => (name === 'position' ? position : name === 'number' ? number : name === 'bytes' ? '77' : name))
      .join(', ')} from ledger_sealed where number = ${middle.number}`;
  await found(
    'a second row of one position',
    [copied('position', 'number')],
    { tree: acme.tree, position: 100 },
    /inserted|changed/,
  );
  await found(
    'inserted, and the others moved down',
    [
      `update ledger_sealed set position = position + 1 where ${here} and position > 100`,
      `update ledger_sealed set number = number + 1 where ${here} and number > ${middle.number}`,
      copied('position + 1', 'number + 1'),
    ],
    { tree: acme.tree, position: 101 },
    /inserted|changed/,
  );
  await found(
    'put behind the end',
    [copied(String(acme.size), String(good.report.entries + 1))],
    { tree: acme.tree, position: acme.size },
    'inserted',
  );
  for (const [first, second] of [
    [100, 101],
    [20, 270],
  ] as const) {
    const [a, b] = [await rowOf(`position = ${first}`), await rowOf(`position = ${second}`)];
    await found(
      `positions ${first} and ${second} swapped`,
      [
        `update ledger_sealed set position = case number when ${a.number} then ${second} else ${first} end, number = case number when ${a.number} then ${b.number} else ${a.number} end where number in (${a.number}, ${b.number})`,
      ],
      { tree: acme.tree, position: first },
      /swapped|changed/,
    );
  }
  await found(
    'the tail cut off',
    [`delete from ledger_sealed where ${here} and position >= ${acme.size - 5}`],
    { tree: acme.tree, position: acme.size - 5 },
    'missing',
  );

  const [cut] = await sql<{ position: number; number: number }>(
    'select position::int, number::int from ledger_head where position = (select max(position) - 3 from ledger_head)',
  );
  const behind = await verifyRecord(kept, [
    `delete from ledger_head where position > ${cut?.position}`,
    `delete from ledger_sealed where number > ${cut?.number}`,
  ]);
  t.match(
    [behind.code, behind.report.findings],
    [1, [{ what: 'behind', head: (cut?.position ?? 0) + 1, number: (cut?.number ?? 0) + 1 }]],
    `the newest heads and their entries taken away: ${told(behind.report)}`,
  );
  const rolledBack = await verifyRecord({ ...older, witness: kept.witness });
  t.match(
    [rolledBack.code, rolledBack.report.findings[0]?.what],
    [1, 'behind'],
    `an old database in its place: ${told(rolledBack.report)}`,
  );
  const stale = await verifyRecord({ ...older }, [], 1);
  t.match(
    [stale.code, stale.report.findings[0]?.what],
    [1, 'old'],
    'with the checkpoints of its own time it agrees: their age tells',
  );

  // Without the signing key, everything else fits: leaves, blocks, heads, trees.
  const forger = new pg.Client({ connectionString: forged.url });
  await forger.connect();
  t.teardown(() => forger.end());
  await recompute(forger);
  t.equal((await verifyRecord(forged)).code, 0, 'twin: computed again with nothing changed, it is the same record');
  await forger.query('update ledger_sealed set bytes = bytes - 1 where number = $1', [granted.number]);
  await recompute(forger);
  const rewritten = await verifyRecord(forged);
  const [first] = rewritten.report.findings;
  t.match([rewritten.code, first?.what], [1, 'head changed'], told(rewritten.report));
  const { rows: span } = await forger.query<{ low: number; high: number }>(
    'select coalesce((select number from ledger_head where position = $1::int - 1), 0)::int + 1 as low, number::int as high from ledger_head where position = $2',
    [first?.from, first?.to],
  );
  t.ok(
    (span[0]?.low ?? 0) <= granted.number && granted.number <= (span[0]?.high ?? 0),
    `the changed entry ${granted.number} is among the suspects ${span[0]?.low} to ${span[0]?.high}`,
  );
  t.match(first, { number: span[0]?.low, tree: /./, position: /\d/ }, 'whose first row is named');

  const note = parseNote((await newestNote(kept.witness)) ?? '').checkpoint;
  const { rows: log } = await forger.query<{ root: Buffer }>(
    'select substr(frontier, 1, 32) as root from ledger_tree limit 1',
  );
  const stranger = checkpointSigner(generateKeyPairSync('ed25519').privateKey, note.origin);
  const own = `${kept.witness}-own`;
  cpSync(kept.witness, own, { recursive: true });
  const forgedNote = stranger.sign({ ...note, root: log[0]?.root.toString('base64') ?? '' });
  appendFileSync(join(own, readdirSync(own).sort().at(-1) ?? ''), `${JSON.stringify(forgedNote)}\n`);
  const signed = await verifyRecord({ ...forged, witness: own });
  t.match(
    [signed.code, signed.report.findings[0]?.what],
    [1, 'note forged'],
    'nor is it witnessed by a checkpoint of another key',
  );
  t.equal((await verifyRecord(kept)).code, 0, 'the copy that served all trials is still good');
});
