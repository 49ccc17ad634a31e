// Positions of entries that left the database are known by an archive that a sealed statement names by its hash, stated
// by such a statement, or missing. Blocks and leaves excuse nothing.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type Test, test } from 'tap';
import { parseVerifierKey, type Report, recordText, verifyRecord } from '../../verifier/index.js';
import {
  acme,
  addBlocks,
  archive,
  bank,
  common,
  copyRecord,
  drop,
  dumpLines,
  emptyRecord,
  entryLine,
  fileText,
  inTree,
  leafOfRow,
  type MadeRecord,
  makeRecord,
  makeRow,
  makeSigner,
  noteFor,
  type Row,
  retire,
  seal,
  sha256,
  startMs,
  witnessText,
} from './make-record.ts';

const signer = makeSigner();
const keys = [parseVerifierKey(signer.verifierKey)];
const whole = makeRecord(signer, 30);
const september = (row: Row): boolean =>
  (row.tree === acme && row.position < 100) || (row.tree === bank && row.position < 7);
const october = (row: Row): boolean => row.tree === acme && row.position >= 100 && row.position < 600;
const isMoved = (row: Row): boolean => september(row) || october(row);

type Edit = Parameters<typeof archive>[2];

/** Two months in archives, stated; their entries are still in the database. */
function archived(edit?: Edit): MadeRecord {
  const record = copyRecord(whole);
  archive(record, { month: '2026-08', rows: whole.rows.filter(september) }, edit);
  archive(record, { month: '2026-09', rows: whole.rows.filter(october) });
  seal(record, { [bank]: 1 });
  record.notes.push(noteFor(record, signer, 33));
  addBlocks(record);
  return record;
}

function moved(edit?: Edit): MadeRecord {
  const record = archived(edit);
  drop(record, whole.rows.filter(isMoved));
  return record;
}

type Places = { readonly dump: string; readonly archive: string; readonly witness: string };

function place(t: Test, record: MadeRecord, lines = dumpLines(record)): Places {
  const root = t.testdir();
  const places = { dump: join(root, 'dump.jsonl'), archive: join(root, 'archive'), witness: join(root, 'witness') };
  for (const directory of [places.archive, places.witness]) mkdirSync(directory);
  writeFileSync(join(places.witness, 'checkpoints-2026-11-24.jsonl'), witnessText(record.notes));
  writeFileSync(places.dump, fileText(lines));
  for (const { file, bytes } of record.archives) writeFileSync(join(places.archive, file), bytes);
  return places;
}

const verified = ({ dump, archive: given, witness }: Places, isWithArchive: boolean): Promise<Report> =>
  verifyRecord({
    keys,
    witnesses: [witness],
    archive: isWithArchive ? given : undefined,
    maxAgeSeconds: 600,
    dump,
    now: startMs + 60_000,
  });

test('with the archives everything is read, and the record is good', async (t) => {
  const record = moved();
  const report = await verified(place(t, record), true);
  t.same(report.findings, []);
  t.match(report, { verdict: 'good', ok: true, entries: whole.rows.length + 4, archived: 0, notRead: [] });
  t.match(report.read, [
    /^witness /,
    /ledger-2026-08\.jsonl\.gz: 107 entries, as the record states it/,
    /ledger-2026-09\.jsonl\.gz: 500 entries/,
  ]);
});

test('without them the record is not complete: never good, nothing bad', async (t) => {
  const report = await verified(place(t, moved()), false);
  t.same(report.findings, []);
  t.match(report, { verdict: 'incomplete', ok: false, entries: whole.rows.length + 4 - 607, archived: 607 });
  t.match(report.notRead, [
    "archive ledger-2026-08.jsonl.gz: 107 entries of 2 trees are in it by the record's own statement, and it was not given",
    "archive ledger-2026-09.jsonl.gz: 500 entries of 1 trees are in it by the record's own statement, and it was not given",
  ]);
  t.match(
    recordText(report, 600),
    /NOT COMPLETE: nothing bad was found, and not everything was read: 607 entries were not/,
  );
});

test('without one of the archives the record is not complete', async (t) => {
  const record = moved();
  record.archives = record.archives.slice(1);
  t.match(await verified(place(t, record), true), {
    verdict: 'incomplete',
    found: 0,
    archived: 107,
    notRead: [/2026-08.*it was not given/],
  });
});

test('a month whose retention has ended, as the record says', async (t) => {
  const record = moved();
  retire(record, '2026-08');
  record.notes.push(noteFor(record, signer, 34));
  record.archives = record.archives.slice(1);
  t.match(await verified(place(t, record), true), {
    verdict: 'incomplete',
    found: 0,
    archived: 107,
    notRead: [/its retention has ended, as the record states/],
  });
});

test('an entry that is still in the database counts once', async (t) => {
  const report = await verified(place(t, archived()), true);
  t.same(report.findings, []);
  t.match(report, { verdict: 'good', entries: whole.rows.length + 4 });
  t.match(await verified(place(t, archived()), false), { verdict: 'good' }, 'and needs no archive');
});

test('deleted rows behind blocks and leaves are missing, with archives and without', async (t) => {
  const gone: Readonly<Record<string, (row: Row) => boolean>> = {
    'a row': (row) => row.tree === acme && row.position === 217,
    'a whole block': (row) => row.tree === acme && row.position < 256,
    'all of a customer': (row) => row.tree === acme,
    'everything that is nobody\u2019s': (row) => row.tree === common,
  };
  for (const [name, is] of Object.entries(gone)) {
    const record = copyRecord(whole);
    const rows = record.rows.filter(is);
    drop(record, rows);
    for (const isWithArchive of [true, false]) {
      const report = await verified(place(t, record), isWithArchive);
      const [first] = rows;
      t.match(report, { verdict: 'bad', found: 1 }, name);
      t.match(
        report.firstRow,
        { what: 'missing', tree: first?.tree, position: first?.position, to: rows.at(-1)?.position },
        name,
      );
    }
  }
});

test('rows deleted beside archived ones: no statement has room for them', async (t) => {
  for (const [name, position] of [
    ['behind the range', 610],
    ['at its end', 600],
  ] as const) {
    const record = moved();
    drop(
      record,
      inTree(record, acme).filter((row) => row.position === position),
    );
    t.match(
      await verified(place(t, record), false),
      { verdict: 'bad', found: 1, firstRow: { what: 'missing', position } },
      name,
    );
    t.match(
      await verified(place(t, record), true),
      { verdict: 'bad', found: 1, firstRow: { what: 'missing', position } },
      name,
    );
  }
  // A month that has every second position: the others are in the database, and may not leave with it.
  const record = copyRecord(whole);
  const rows = inTree(whole, acme).filter(({ position }) => position < 200 && position % 2 === 0);
  archive(record, { month: '2026-08', rows });
  record.notes.push(noteFor(record, signer, 31));
  addBlocks(record);
  drop(record, rows);
  t.match(await verified(place(t, record), false), { verdict: 'incomplete', archived: 100 }, 'as it should be');
  t.match(await verified(place(t, record), true), { verdict: 'good' }, 'and with its archive');
  drop(
    record,
    inTree(record, acme).filter(({ position }) => position === 51),
  );
  t.match(await verified(place(t, record), false), {
    verdict: 'bad',
    found: 1,
    firstRow: { what: 'missing', tree: acme },
  });
  t.match(await verified(place(t, record), true), {
    verdict: 'bad',
    found: 1,
    firstRow: { what: 'missing', tree: acme, position: 51 },
  });
});

test('a statement that no checkpoint covers excuses nothing', async (t) => {
  const record = copyRecord(whole);
  archive(record, { month: '2026-08', rows: whole.rows.filter(september) });
  addBlocks(record);
  drop(record, whole.rows.filter(september));
  const report = await verified(place(t, record), false);
  t.match(report, {
    verdict: 'bad',
    found: 2,
    firstRow: { what: 'missing', tree: acme, position: 0, to: 99, text: /1 are newer than the witness/ },
  });
  t.equal((await verified(place(t, record), true)).verdict, 'bad');
  record.notes.push(noteFor(record, signer, 31));
  t.match(await verified(place(t, record), false), { verdict: 'incomplete' }, 'its twin, witnessed');
});

test('a statement of another tree excuses nothing', async (t) => {
  const record = copyRecord(whole);
  archive(record, { month: '2026-08', rows: inTree(whole, bank).slice(0, 7) });
  record.notes.push(noteFor(record, signer, 31));
  addBlocks(record);
  drop(record, inTree(record, acme).slice(0, 7));
  t.match(await verified(place(t, record), false), {
    verdict: 'bad',
    firstRow: { what: 'missing', tree: acme, position: 0, to: 6 },
  });
});

test('an entry must say approximately when it was sealed', async (t) => {
  const day = 86_400_000_000;
  const by = async (micros: number): Promise<unknown> => {
    const record = copyRecord(whole);
    seal(record, { [acme]: 1 }, { edit: (row) => (row.at = (startMs + whole.heads.length * 1000) * 1000 + micros) });
    record.notes.push(noteFor(record, signer, record.heads.length));
    return verified(place(t, record), true);
  };
  for (const far of [-28 * day, 61 * day])
    t.match(await by(far), { verdict: 'bad', found: 1, firstRow: { what: 'time', tree: acme } }, `${far / day} days`);
  for (const near of [-26 * day, 0, 59 * day])
    t.match(await by(near), { verdict: 'good', found: 0 }, `twin: ${near / day} days`);
});

test('impossible statements are findings, and excuse nothing', async (t) => {
  const edits: Readonly<Record<string, Edit>> = {
    'no range': (shown) => delete shown.first,
    'behind itself': (shown) => (shown.last = 5000),
    'more entries than positions': (shown) => (shown.entries = 101),
    'no hash': (_, hidden) => (hidden.sha256 = 'none'),
    'no file': (_, hidden) => delete hidden.file,
    'a total below its entries': (_, hidden) => (hidden.total = 1),
    'a month that is none': (shown) => (shown.month = 'September'),
    'a month that was still there': (shown) => (shown.month = '2026-10'),
    'a month to come': (shown) => (shown.month = '2027-01'),
  };
  for (const [name, edit] of Object.entries(edits)) {
    const report = await verified(place(t, archived(edit)), true);
    t.match(report, { verdict: 'bad', findings: [{ what: 'statement' }] }, name);
  }
  t.match(
    (
      await verified(
        place(
          t,
          archived((shown) => (shown.note = 'more')),
        ),
        true,
      )
    ).verdict,
    'good',
    'further fields may be',
  );
});

test('statements that do not describe the file of their hash are findings', async (t) => {
  const verdictOf = async (edit: Edit, isWithArchive: boolean): Promise<Report> =>
    verified(place(t, moved(edit)), isWithArchive);
  const total = await verdictOf((_, hidden) => (hidden.total = 700), true);
  t.match(total.findings, [{ what: 'archive', text: /holds 107 entries; the record states 700/ }]);
  const range = await verdictOf((shown) => (shown.entries = Number(shown.entries) - 1), true);
  t.match(range.findings[0], { what: 'archive', text: /of ledger-2026-08\.jsonl\.gz the record states/ });
  const other = await verdictOf((_, hidden) => (hidden.sha256 = sha256().toString('hex')), true);
  t.match(other, { verdict: 'bad', findings: [{ what: 'archive', text: /is not the file that the record states/ }] });
});

test('an archive that no statement names counts for nothing', async (t) => {
  const record = copyRecord(whole);
  const rows = inTree(whole, acme).slice(0, 5);
  record.archives.push({ file: 'ledger-2026-08.jsonl.gz', bytes: gzipSync(fileText(rows.map(entryLine))) });
  const report = await verified(place(t, record), true);
  t.match(
    report,
    { verdict: 'good', read: [/^witness/, /no sealed statement names it by its hash, so it counts for nothing/] },
    'while its entries are in the database',
  );
  drop(record, rows);
  t.match(await verified(place(t, record), true), {
    verdict: 'bad',
    firstRow: {
      what: 'missing',
      position: 0,
      to: 4,
      text: /an archive has it, and no sealed statement of this tree names that file/,
    },
  });
});

test('the same statement twice counts once', async (t) => {
  const record = copyRecord(whole);
  const rows = inTree(whole, acme).filter(({ position }) => position < 100 && position % 2 === 0);
  archive(record, { month: '2026-08', rows });
  archive(record, { month: '2026-08', rows });
  record.notes.push(noteFor(record, signer, 32));
  addBlocks(record);
  drop(record, rows);
  t.match(await verified(place(t, record), false), { verdict: 'incomplete', archived: 50 });
  drop(
    record,
    inTree(record, acme).filter(({ position }) => position === 51),
  );
  t.match(await verified(place(t, record), false), { verdict: 'bad', firstRow: { what: 'missing' } });
});

test('an entry that differs between database and archive is found', async (t) => {
  const record = archived();
  const places = place(t, record);
  const row = inTree(record, acme)[40];
  if (row === undefined) throw new Error('no such row');
  writeFileSync(
    places.dump,
    readFileSync(places.dump, 'utf8').replace(entryLine(row), entryLine({ ...row, kind: 'forged' })),
  );
  t.match(await verified(places, true), { verdict: 'bad', firstRow: { tree: acme, position: 40 } });
});

test('an archive of which a byte was changed is found', async (t) => {
  const record = moved();
  const places = place(t, record);
  const file = join(places.archive, 'ledger-2026-09.jsonl.gz');
  const good = readFileSync(file);
  const row = inTree(whole, acme)[217];
  if (row === undefined) throw new Error('no such row');
  writeFileSync(
    file,
    gzipSync(
      gunzipSync(good)
        .toString('utf8')
        .replace(entryLine(row), entryLine({ ...row, at: row.at + 1 })),
    ),
  );
  const packed = await verified(places, true);
  t.match(
    packed,
    { verdict: 'bad', firstRow: { what: 'changed', tree: acme, position: 217, number: row.number } },
    'packed anew',
  );
  t.ok(packed.findings.some(({ what }) => what === 'archive'));
  t.equal((await verified(places, false)).verdict, 'incomplete', 'without archives nothing is said of them');
  // The same entries, packed by another program: not the file that the record names.
  writeFileSync(file, gzipSync(gunzipSync(good), { level: 1 }));
  t.match(await verified(places, true), { verdict: 'bad', findings: [{ what: 'archive' }] });
  for (const at of [20, Math.floor(good.length / 2), good.length - 6]) {
    const broken = Buffer.from(good);
    broken[at] = (broken[at] ?? 0) ^ 0x10;
    writeFileSync(file, broken);
    t.equal((await verified(places, true)).verdict, 'bad', `byte ${at} of the compressed file`);
  }
  writeFileSync(file, good.subarray(0, good.length - 3000));
  const cut = await verified(places, true);
  t.ok(cut.findings.some(({ what, text }) => what === 'unreadable' && text.includes('ledger-2026-09.jsonl.gz')));
  writeFileSync(file, good);
  t.ok((await verified(places, true)).ok, 'as it was');
});

test('blocks and leaves that are false or missing are found', async (t) => {
  const blocks = (change: (record: MadeRecord) => void, record = archived()): Promise<Report> => {
    change(record);
    return verified(place(t, record), false);
  };
  const zero = Buffer.alloc(32);
  const wrong = (record: MadeRecord): void => {
    record.blocks = record.blocks.map((block, i) => (i === 1 ? { ...block, hash: zero } : block));
  };
  t.match(
    await blocks(wrong),
    { found: 1, findings: [{ what: 'block', tree: acme, from: 256, to: 511 }] },
    'against its entries',
  );
  t.match(
    await blocks(wrong, moved()),
    { found: 1, findings: [{ what: 'changed', tree: acme, text: /the root that head \d+ sealed is another/ }] },
    'in the place of its entries',
  );
  const first = (record: MadeRecord): void => {
    record.blocks = record.blocks.slice(1);
  };
  t.match(await blocks(first), { verdict: 'good' }, 'not needed where the entries are');
  t.match(await blocks(first, moved()), {
    found: 1,
    findings: [{ what: 'block', from: 0, to: 255, text: /no root behind them/ }],
  });
  t.match(await blocks((r) => r.blocks.push({ tree: acme, index: 1, hash: zero })), {
    found: 1,
    findings: [{ what: 'block', text: /is there twice/ }],
  });
  t.match(await blocks((r) => r.blocks.push({ tree: acme, index: 2, hash: zero })), {
    found: 1,
    findings: [{ what: 'block', text: /but only 702 entries were sealed/ }],
  });
  // Positions 0 to 511 are whole blocks; 512 to 599 have leaves.
  const leaf = (change: (record: MadeRecord) => void): Promise<Report> => blocks(change, moved());
  t.match(await leaf((r) => (r.leaves = r.leaves.map((one) => (one.index === 550 ? { ...one, hash: zero } : one)))), {
    found: 1,
    firstRow: { what: 'changed', tree: acme },
  });
  t.match(await leaf((r) => (r.leaves = r.leaves.filter(({ index }) => index !== 550))), {
    verdict: 'bad',
    findings: [{ what: 'block', from: 550 }],
  });
  t.match(await leaf((r) => r.leaves.push(...r.leaves.slice(0, 1))), {
    verdict: 'bad',
    findings: [{ what: 'malformed', text: /is there twice/ }],
  });
  const record = moved();
  const lines = dumpLines(record);
  const isLeaf = (line: string): boolean => line.startsWith('{"leaf"');
  const behind = [...lines.filter((line) => !isLeaf(line)), ...lines.filter(isLeaf)];
  t.equal((await verified(place(t, record, behind), false)).verdict, 'bad', 'behind the entries');
});

test('a changed row beside archived ones is still named', async (t) => {
  const record = moved();
  const row = inTree(record, acme).find(({ position }) => position === 650);
  if (row === undefined) throw new Error('no such row');
  row.client = 'forged';
  for (const isWithArchive of [true, false])
    t.match(await verified(place(t, record), isWithArchive), {
      found: 1,
      findings: [{ what: 'changed', tree: acme, position: 650 }],
    });
});

test('one of two months that share a block is gone: its hash stands for both, and rows beside it need their leaves', async (t) => {
  // Block 0 is archived as a whole: positions 0 to 99 in one month, the rest in another.
  const record = moved();
  const [september9, october9] = record.archives;
  for (const [archives, count] of [
    [october9 === undefined ? [] : [october9], 107],
    [september9 === undefined ? [] : [september9], 500],
  ] as const)
    t.match(await verified(place(t, { ...record, archives: [...archives] }), true), {
      verdict: 'incomplete',
      found: 0,
      archived: count,
    });
  // Rows in the database beside archived ones whose leaves were deleted: the hash of a block must not hide what was
  // done to them.
  const beside = archived();
  drop(beside, inTree(beside, acme).slice(0, 100));
  t.match(await verified(place(t, beside), false), { verdict: 'incomplete', archived: 100 }, 'with leaves');
  beside.leaves = [];
  t.match(await verified(place(t, beside), false), {
    verdict: 'bad',
    findings: [{ what: 'block', text: /156 of their entries/ }],
  });
  const row = inTree(beside, acme)[50];
  if (row !== undefined) row.kind = 'forged';
  if (row !== undefined) row.leaf = leafOfRow(row);
  t.equal((await verified(place(t, beside), false)).verdict, 'bad', 'changed with its leaf');
  t.equal((await verified(place(t, beside), true)).verdict, 'bad', 'and beside an archive that has it otherwise');
});

test('a statement about the month in which it was sealed itself is kept in the database, with the leaves beside it', async (t) => {
  // August and September are stated by entries that leave with October, and stay in the database as well.
  const record = archived();
  const later = record.rows.filter(({ tree, position }) => tree === acme && position >= 600 && position <= 700);
  record.clockMs = Date.UTC(2026, 11, 2);
  archive(record, { month: '2026-10', rows: later });
  record.notes.push(noteFor(record, signer, 34));
  const kept = later.filter(({ kind }) => kind === 'ledger.archived');
  t.equal(kept.length, 1);
  addBlocks(record);
  drop(
    record,
    record.rows.filter((row) => isMoved(row) || (later.includes(row) && !kept.includes(row))),
  );
  t.match(await verified(place(t, record), false), { verdict: 'incomplete', found: 0 });
  t.match(await verified(place(t, record), true), { verdict: 'good' });
  record.leaves = record.leaves.filter(({ tree, index }) => tree !== acme || index < 512);
  const without = await verified(place(t, record), false);
  t.match(without, { verdict: 'bad' }, 'without the leaves nothing says that it was sealed');
});

test('statements put into a block of which only the hash is known prove nothing, not even each other', async (t) => {
  const record = copyRecord(whole);
  const rows = inTree(record, acme).slice(0, 256);
  // Within what was witnessed, after what they excuse. The rest of the block is gone with its leaves.
  const forged = [250, 251].map((position) => ({
    ...makeRow(acme, position, rows[position]?.number ?? 0),
    kind: 'ledger.archived',
  }));
  drop(record, rows);
  const state = (row: Row | undefined, file: string, sha: string, entries: number, total: number): void => {
    if (row === undefined) return;
    row.publicText = JSON.stringify({ month: '2026-08', first: 0, last: 249, entries });
    row.sensitiveText = JSON.stringify({ file, sha256: sha, total });
    row.leaf = leafOfRow(row);
  };
  state(forged[0], 'ledger-2026-06.jsonl.gz', '0'.repeat(64), 250, 250);
  state(forged[1], 'ledger-2026-07.jsonl.gz', '1'.repeat(64), 250, 250);
  record.rows.push(...forged);
  record.leaves = [];
  for (const isWithArchive of [true, false])
    t.match(await verified(place(t, record), isWithArchive), { verdict: 'bad', firstRow: { what: 'missing' } });
});

/**
 * August is in an archive, of acme alone. Then somebody inserts a row into the queue that is sealed: of bank, too, its
 * last four entries are said to be in it.
 */
function planted(sealed: number, sha?: string): { readonly record: MadeRecord; readonly stolen: readonly Row[] } {
  const made = makeRecord(signer, sealed);
  const record = copyRecord(made);
  const august = inTree(made, acme).slice(0, 100);
  archive(record, { month: '2026-08', rows: august });
  const stolen = inTree(made, bank).slice(-4);
  const edit = (row: Row): void => {
    const [first, last] = [stolen[0]?.position, stolen.at(-1)?.position];
    row.kind = 'ledger.archived';
    row.publicText = JSON.stringify({ month: '2026-08', first, last, entries: stolen.length });
    const digest = sha ?? sha256(record.archives[0]?.bytes ?? Buffer.alloc(0)).toString('hex');
    row.sensitiveText = JSON.stringify({ file: 'ledger-2026-08.jsonl.gz', sha256: digest, total: 100 });
  };
  seal(record, { [bank]: 1 }, { edit });
  retire(record, '2026-08');
  record.notes.push(noteFor(record, signer, record.heads.length));
  addBlocks(record);
  drop(record, [...august, ...stolen]);
  return { record, stolen };
}

test('a file that was given excuses nothing of a tree of which it holds nothing', async (t) => {
  const { record } = planted(30);
  t.match(
    await verified(place(t, record), true),
    {
      verdict: 'bad',
      findings: [
        { what: 'archive', text: /the record states 4 entries.*it holds none/ },
        { what: 'missing', tree: bank },
      ],
    },
    'although they can have been of August',
  );
  t.match(
    await verified(place(t, record), false),
    { verdict: 'incomplete', found: 0 },
    'twin: not given, nobody can know',
  );
});

test('a statement about a month excuses nothing that was sealed too long after it, whether its file is there or not', async (t) => {
  const old = (count: number) => planted(count).record;
  // Of 30 heads the last ones were sealed in November, and they sealed the last entries of the bank.
  const recent = await verified(place(t, old(20)), false);
  t.match(recent, {
    verdict: 'bad',
    findings: [{ what: 'missing', tree: bank, text: /sealed too long after that month/ }],
  });
  t.match(
    await verified(place(t, old(30)), false),
    { verdict: 'incomplete', found: 0 },
    'twin: all of them in September',
  );
  const { record } = planted(20, 'ab'.repeat(32));
  t.match(
    await verified(place(t, record), false),
    { verdict: 'bad', firstRow: { what: 'missing', tree: bank } },
    'a file that never was',
  );
});

test('a statement about a month excuses what was sealed up to 27 days after its end', async (t) => {
  const verdictAt = async (day: number): Promise<string> => {
    const record = emptyRecord();
    record.clockMs = Date.UTC(2026, 8, day);
    seal(record, { [acme]: 5 });
    const rows = inTree(record, acme);
    record.clockMs = startMs;
    archive(record, { month: '2026-08', rows });
    record.notes.push(noteFor(record, signer, record.heads.length));
    addBlocks(record);
    drop(record, rows);
    return (await verified(place(t, record), false)).verdict;
  };
  t.equal(await verdictAt(27), 'incomplete');
  t.equal(await verdictAt(29), 'bad');
});
