// Entries that were moved into archives: with the archives every entry is seen, without them blocks stand for them.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type Test, test } from 'tap';
import { parseVerifierKey, type Report, recordText, verifyRecord } from '../../verifier/ledger-verifier.ts';
import {
  acme,
  copyRecord,
  dumpLines,
  entryLine,
  epochMs,
  fileText,
  inTree,
  type MadeRecord,
  makeRecord,
  makeSigner,
  type Row,
  witnessText,
} from '../support/ledger-record.ts';

const signer = makeSigner();
const keys = [parseVerifierKey(signer.verifierKey)];
const whole = makeRecord(signer);

const september = (row: Row): boolean => row.tree === acme && row.position < 100;
const october = (row: Row): boolean => row.tree === acme && row.position >= 100 && row.position < 512;
const isMoved = (row: Row): boolean => september(row) || october(row);

type Places = { readonly dump: string; readonly archive: string; readonly witness: string };

function place(t: Test, record: MadeRecord, isInDump: (row: Row) => boolean): Places {
  const root = t.testdir();
  const places = { dump: join(root, 'dump.jsonl'), archive: join(root, 'archive'), witness: join(root, 'witness') };
  for (const directory of [places.archive, places.witness]) mkdirSync(directory);
  writeFileSync(join(places.witness, 'checkpoints-2026-11-24.jsonl'), witnessText(record.notes));
  writeFileSync(places.dump, fileText(dumpLines({ ...record, rows: record.rows.filter(isInDump) })));
  const ofMonth = (is: (row: Row) => boolean): Buffer => gzipSync(fileText(inTree(record, acme).filter(is).map(entryLine)));
  writeFileSync(join(places.archive, 'ledger-2026-09.jsonl.gz'), ofMonth(september));
  writeFileSync(join(places.archive, 'ledger-2026-10.jsonl.gz'), ofMonth(october));
  return places;
}

const verified = ({ dump, archive, witness }: Places, isWithArchive: boolean): Promise<Report> =>
  verifyRecord({
    keys,
    witnesses: [witness],
    archive: isWithArchive ? archive : undefined,
    maxAgeSeconds: 600,
    dump,
    now: epochMs + 60_000,
  });

test('with the archives everything is seen', async (t) => {
  const report = await verified(
    place(t, whole, (row) => !isMoved(row)),
    true,
  );
  t.same(report.findings, []);
  t.match(report, { ok: true, entries: whole.rows.length, archived: 0 });
});

test('without them blocks stand for what is not there', async (t) => {
  const report = await verified(
    place(t, whole, (row) => !isMoved(row)),
    false,
  );
  t.same(report.findings, []);
  t.match(report, { ok: true, entries: whole.rows.length - 512, archived: 512 });
  t.match(recordText(report, 600), /512 entries are in archives and were checked by block only/);
});

test('an entry that is still in the database counts once', async (t) => {
  const report = await verified(
    place(t, whole, () => true),
    true,
  );
  t.same(report.findings, []);
  t.equal(report.entries, whole.rows.length);
});

test('an entry that is another in the database than in the archive', async (t) => {
  const places = place(t, whole, () => true);
  const lines = readFileSync(places.dump, 'utf8');
  const row = inTree(whole, acme)[40];
  if (row === undefined) throw new Error('no such row');
  writeFileSync(places.dump, lines.replace(entryLine(row), entryLine({ ...row, kind: 'forged' })));
  const report = await verified(places, true);
  t.match(report.firstRow, { tree: acme, position: 40 });
  t.notOk(report.ok);
});

test('a byte of an archive was changed', async (t) => {
  const places = place(t, whole, (row) => !isMoved(row));
  const file = join(places.archive, 'ledger-2026-10.jsonl.gz');
  const good = readFileSync(file);
  const text = gunzipSync(good).toString('utf8');
  const row = inTree(whole, acme)[217];
  if (row === undefined) throw new Error('no such row');
  writeFileSync(file, gzipSync(text.replace(entryLine(row), entryLine({ ...row, at: row.at + 1 }))));
  t.match(
    await verified(places, true),
    { found: 1, findings: [{ what: 'changed', tree: acme, position: 217, number: row.number }] },
    'packed anew',
  );
  t.ok((await verified(places, false)).ok, 'the blocks are still right');

  for (const at of [20, Math.floor(good.length / 2), good.length - 6]) {
    const broken = Buffer.from(good);
    broken[at] = (broken[at] ?? 0) ^ 0x10;
    writeFileSync(file, broken);
    t.notOk((await verified(places, true)).ok, `byte ${at} of the compressed file`);
  }
  writeFileSync(file, good.subarray(0, good.length - 3000));
  const cut = await verified(places, true);
  t.match(cut.findings[0], { what: 'unreadable', text: /ledger-2026-10\.jsonl\.gz/ });
  t.equal(cut.firstRow?.what, 'missing');
  t.equal(cut.firstRow?.tree, acme);
  writeFileSync(file, good);
  t.ok((await verified(places, true)).ok, 'as it was');
});

test('one archive is not there: what no whole block covers is missing', async (t) => {
  const places = place(t, whole, (row) => !isMoved(row));
  writeFileSync(join(places.archive, 'ledger-2026-10.jsonl.gz'), gzipSync(''));
  const report = await verified(places, true);
  t.match(report, { found: 1, findings: [{ what: 'missing', tree: acme, position: 100, from: 100, to: 255 }] });
  t.equal(report.archived, 256);
});

test('blocks that lie', async (t) => {
  const lie = (change: (record: MadeRecord) => void): MadeRecord => {
    const record = copyRecord(whole);
    change(record);
    return record;
  };
  const wrong = lie((r) => (r.blocks = r.blocks.map((block, i) => (i === 1 ? { ...block, hash: Buffer.alloc(32) } : block))));
  const all = await verified(
    place(t, wrong, () => true),
    false,
  );
  t.match(all, { found: 1, findings: [{ what: 'block', tree: acme, from: 256, to: 511 }] }, 'against its entries');
  const gone = await verified(
    place(t, wrong, (row) => !isMoved(row)),
    false,
  );
  t.equal(gone.found, 1);
  t.match(
    gone,
    { found: 1, findings: [{ what: 'changed', tree: acme, text: /the root that head \d+ sealed is another/ }] },
    'in the place of its entries',
  );
  t.ok((gone.findings[0]?.position ?? 0) <= 256 && (gone.findings[0]?.to ?? 0) >= 511);

  const missing = lie((r) => (r.blocks = r.blocks.slice(1)));
  t.match(
    await verified(
      place(t, missing, (row) => !isMoved(row)),
      false,
    ),
    { found: 1, findings: [{ what: 'missing', position: 0, from: 0, to: 255 }] },
  );
  t.ok(
    (
      await verified(
        place(t, missing, () => true),
        false,
      )
    ).ok,
    'not needed where the entries are',
  );
  const twice = lie((r) => r.blocks.push({ tree: acme, index: 1, hash: Buffer.alloc(32) }));
  t.match(
    await verified(
      place(t, twice, () => true),
      false,
    ),
    { found: 1, findings: [{ what: 'block', text: /is there twice/ }] },
  );
  const more = lie((r) => r.blocks.push({ tree: acme, index: 2, hash: Buffer.alloc(32) }));
  t.match(
    await verified(
      place(t, more, () => true),
      false,
    ),
    { found: 1, findings: [{ what: 'block', text: /but only 700 entries were sealed/ }] },
  );
});

test('a changed row beside archived ones is still named', async (t) => {
  const record = copyRecord(whole);
  const row = inTree(record, acme)[600];
  if (row === undefined) throw new Error('no such row');
  row.client = 'forged';
  for (const isWithArchive of [true, false])
    t.match(
      await verified(
        place(t, record, (one) => !isMoved(one)),
        isWithArchive,
      ),
      { found: 1, findings: [{ what: 'changed', tree: acme, position: 600 }] },
    );
});

test('leaves stand for archived entries whose block is not whole', async (t) => {
  // Positions 100 to 299 were moved: 256 to 299 of them are the beginning of a block whose rest is in the database.
  const isHere = (row: Row): boolean => row.tree !== acme || row.position < 100 || row.position > 299;
  const leaves = inTree(whole, acme).filter((row) => !isHere(row));
  const lineOf = ({ tree, position, leaf }: Row): string => JSON.stringify({ leaf: [tree, position, leaf.toString('hex')] });
  const places = place(t, whole, isHere);
  const lines = readFileSync(places.dump, 'utf8').trimEnd().split('\n');
  const before = lines.findIndex((line) => line.startsWith('{"entry"'));
  const withLeaves = (given: readonly string[]): void => writeFileSync(places.dump, fileText(lines.toSpliced(before, 0, ...given)));

  withLeaves(leaves.map(lineOf));
  t.match(await verified(places, false), { found: 0, ok: true, archived: 200 });
  withLeaves(leaves.map((row) => lineOf(row.position === 217 ? { ...row, leaf: Buffer.alloc(32) } : row)));
  t.match(await verified(places, false), { found: 1, firstRow: { what: 'changed', tree: acme } }, 'one that lies');
  withLeaves(leaves.filter(({ position }) => position !== 217).map(lineOf));
  t.match(await verified(places, false), { ok: false, firstRow: { what: 'missing', tree: acme, position: 217 } }, 'one that is not there');
  withLeaves([...leaves, ...leaves.slice(0, 1)].map(lineOf));
  t.match(await verified(places, false), { found: 1, findings: [{ what: 'malformed', text: /is there twice/ }] });
  writeFileSync(places.dump, fileText([...lines, ...leaves.map(lineOf)]));
  t.match(await verified(places, false), { ok: false, firstRow: { what: 'missing', position: 100 } }, 'behind the entries');
});
