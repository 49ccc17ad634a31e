// What the owner of a database can do to rows: each change is found, and the first bad row is named. The record itself,
// unaltered, is good.
import { test } from 'tap';
import { parseStrictly, parseVerifierKey, type Report, Verification, Witness } from '../../verifier/index.js';
import {
  acme,
  bank,
  common,
  copyRecord,
  dumpLines,
  emptyRecord,
  entryLine,
  inTree,
  leafOfRow,
  lineOf,
  logLeaf,
  type MadeRecord,
  makeRecord,
  makeRow,
  makeSigner,
  noteFor,
  type Row,
  rewrite,
  rootOf,
  seal,
  startMs,
} from './make-record.ts';

const signer = makeSigner();
const keys = [parseVerifierKey(signer.verifierKey)];
const whole = makeRecord(signer);
const now = startMs + 60_000;

function verified(record: MadeRecord, lines = dumpLines(record)): Report {
  const witness = new Witness(keys);
  let before: Parameters<Witness['add']>[2];
  for (const note of record.notes) before = witness.add(note, 'note', before);
  witness.close();
  const verification = new Verification({ witness, now, maxAgeSeconds: 600 });
  for (const [i, line] of lines.entries()) verification.line(parseStrictly(line), `line ${i + 1}`);
  return verification.finish();
}

function rowAt(record: MadeRecord, tree: string, position: number): Row {
  const row = inTree(record, tree)[position];
  if (row === undefined) throw new Error('no such row');
  return row;
}

/** The range of positions of its tree that was sealed together with this row. */
function sealedWith(
  record: MadeRecord,
  row: Row,
): { readonly from: number; readonly to: number; readonly head: number } {
  let from = 0;
  for (const head of record.heads) {
    const size = Number(new RegExp(`^${row.tree} (\\d+) `, 'm').exec(head.lines)?.[1] ?? from);
    if (row.position < size) return { from, to: size - 1, head: head.position };
    from = size;
  }
  throw new Error('never sealed');
}

test('a whole record is good', async (t) => {
  const report = verified(whole);
  t.same(report.findings, []);
  t.ok(report.ok);
  t.equal(report.entries, whole.rows.length);
  t.ok(report.entries > 700 && inTree(whole, acme).length > 512);
  t.match(report, {
    heads: 30,
    trees: 3,
    checkpoints: 30,
    newest: { size: 30, era: 1 },
    abandoned: 0,
    archived: 0,
    found: 0,
    firstRow: null,
  });
  t.same(report.unwitnessed, { heads: 0, entries: 0 });
});

test('an empty record with a checkpoint of an empty log: nothing was proved, so it is not good', async (t) => {
  const empty: MadeRecord = emptyRecord();
  const report = verified({ ...empty, notes: [noteFor(empty, signer, 0)] });
  t.same(report.findings, []);
  t.match(report, {
    verdict: 'incomplete',
    ok: false,
    entries: 0,
    heads: 0,
    newest: { size: 0 },
    notRead: [/holds nothing yet/],
  });
});

const edits: Readonly<Record<string, (row: Row) => void>> = {
  number: (row) => (row.number += 1),
  at: (row) => (row.at += 1),
  kind: (row) => (row.kind = 'session.closed'),
  observer: (row) => (row.observer = 'nobody'),
  customer: (row) => (row.customer = bank),
  account: (row) => (row.account = bank),
  session: (row) => (row.session = bank),
  node: (row) => (row.node = 'partner-2'),
  plane: (row) => (row.plane = 'internal'),
  handle: (row) => (row.handle = bank),
  version: (row) => (row.version = bank),
  extent: (row) => (row.extent = (row.extent ?? 0) + 1),
  bytes: (row) => (row.bytes = (row.bytes ?? 0) + 1),
  publicText: (row) => (row.publicText = `${row.publicText} `),
  credential: (row) => (row.credential = 'SHA256:other'),
  alsoCredential: (row) => (row.alsoCredential = 'password:other'),
  source: (row) => (row.source = '192.0.2.8'),
  sourcePort: (row) => (row.sourcePort = (row.sourcePort ?? 0) + 1),
  client: (row) => (row.client = 'other'),
  operator: (row) => (row.operator = 'oskar'),
  sensitiveText: (row) => (row.sensitiveText = '{}'),
  'a value taken away': (row) => (row.account = null),
  'the public half of the salt': (row) => (row.salt = Buffer.concat([Buffer.alloc(1), row.salt.subarray(1)])),
  'the other half of the salt': (row) => (row.salt = Buffer.concat([row.salt.subarray(0, 31), Buffer.alloc(1)])),
};

test('a field that was changed: the very row is named', async (t) => {
  for (const [field, edit] of Object.entries(edits)) {
    const record = copyRecord(whole);
    const row = rowAt(record, acme, 217);
    const { number } = row;
    edit(row);
    const report = verified(record);
    t.equal(report.found, 1, field);
    t.match(report.firstRow, { what: 'changed', tree: acme, position: 217, number: row.number }, field);
    t.match(report.firstRow?.text, /was changed after it was sealed/);
    t.equal(number, field === 'number' ? row.number - 1 : row.number);
  }
});

test('a field was changed and its leaf computed anew: the entries that were sealed together are named, in order', async (t) => {
  for (const [field, edit] of Object.entries(edits)) {
    const record = copyRecord(whole);
    const row = rowAt(record, acme, 217);
    edit(row);
    row.leaf = leafOfRow(row);
    const { from, to, head } = sealedWith(whole, row);
    const report = verified(record);
    t.equal(report.found, field === 'customer' ? 2 : 1, field);
    if (field === 'customer')
      t.match(report.findings.at(-1), { what: 'misplaced', tree: acme, position: 217, number: row.number }, field);
    else if (field === 'number') t.match(report.firstRow, { what: 'out of order', tree: acme }, field);
    else
      t.match(
        report.firstRow,
        { what: 'changed', tree: acme, position: from, number: rowAt(whole, acme, from).number, from, to, head },
        field,
      );
  }
  const alone = copyRecord(whole);
  const row = rowAt(alone, common, 0);
  row.kind = 'session.closed';
  row.leaf = leafOfRow(row);
  t.match(
    verified(alone).firstRow,
    { what: 'changed', tree: common, position: 0, number: row.number },
    'a row that was sealed alone is named itself',
  );
});

test('two rows that were changed are both named, and nothing else is', async (t) => {
  const record = copyRecord(whole);
  rowAt(record, acme, 5).kind = 'x';
  rowAt(record, bank, 7).kind = 'x';
  rowAt(record, acme, 300).kind = 'x';
  const report = verified(record);
  t.same(
    report.findings.map(({ what, tree, position }) => [what, tree, position]),
    [
      ['changed', acme, 5],
      ['changed', acme, 300],
      ['changed', bank, 7],
    ],
  );
});

test('a changed row hides another one that was sealed with it: no unchanged row is named', async (t) => {
  const record = copyRecord(whole);
  const [seen, hidden] = [rowAt(record, acme, 60), rowAt(record, acme, 61)];
  t.equal(sealedWith(whole, seen).head, sealedWith(whole, hidden).head);
  seen.kind = 'x';
  hidden.kind = 'x';
  hidden.leaf = leafOfRow(hidden);
  t.match(verified(record), { found: 1, firstRow: { what: 'changed', position: 60 } });
});

test('only the stored leaf was changed: the row is named, and the entry counts', async (t) => {
  const record = copyRecord(whole);
  rowAt(record, acme, 217).leaf = Buffer.alloc(32);
  const report = verified(record);
  t.equal(report.found, 1);
  t.match(report.firstRow, {
    what: 'changed',
    tree: acme,
    position: 217,
    text: /stored leaf hash was changed; the entry itself is what was sealed/,
  });
});

test('more than twenty findings are counted, and the first ones are printed', async (t) => {
  const record = copyRecord(whole);
  for (const row of inTree(record, acme).slice(100, 160)) row.kind = 'x';
  const report = verified(record);
  t.equal(report.found, 60);
  t.equal(report.findings.length, 20);
  t.match(report.firstRow, { what: 'changed', tree: acme, position: 100 });
});

test('more than twenty findings in one tree do not hide those of another', async (t) => {
  const record = copyRecord(whole);
  const rows = inTree(record, common);
  for (const row of rows.slice(0, 30)) row.kind = 'x';
  for (const row of inTree(record, acme).slice(300, 310)) row.kind = 'x';
  const report = verified(record);
  t.equal(report.found, Math.min(30, rows.length) + 10);
  t.ok(rows.length >= 30 && report.findings.length === 21, `${rows.length} rows, ${report.findings.length} findings`);
  t.match(report.findings.at(-1), { what: 'changed', tree: acme, position: 300 }, 'the first of the other tree');
});

test('a row that was deleted is named', async (t) => {
  for (const [tree, position] of [
    [acme, 217],
    [acme, 0],
    [common, 0],
    [bank, 3],
  ] as const) {
    const record = copyRecord(whole);
    const gone = rowAt(record, tree, position);
    record.rows = record.rows.filter((row) => row !== gone);
    const report = verified(record);
    t.equal(report.found, 1);
    t.match(report.firstRow, {
      what: 'missing',
      tree,
      position,
      from: position,
      to: position,
      head: sealedWith(whole, gone).head,
    });
    const { from, to } = sealedWith(whole, gone);
    if (from === to && report.firstRow?.number !== undefined) t.equal(report.firstRow.number, gone.number);
  }
});

test('a row that was deleted is named, also when those after it were renumbered', async (t) => {
  for (const isNumberMoved of [false, true])
    for (const areLeavesComputed of [false, true]) {
      const record = copyRecord(whole);
      const gone = rowAt(record, acme, 217);
      record.rows = record.rows.filter((row) => row !== gone);
      for (const row of record.rows) {
        if (row.tree === acme && row.position > 217) row.position -= 1;
        if (isNumberMoved && row.tree === acme && row.number > gone.number) row.number -= 1;
        if (areLeavesComputed) row.leaf = leafOfRow(row);
      }
      const name = `${isNumberMoved ? 'numbers moved' : 'numbers kept'}, ${areLeavesComputed ? 'leaves computed' : 'leaves kept'}`;
      const report = verified(record);
      if (!areLeavesComputed) t.match(report.findings[0], { what: 'missing', tree: acme, position: 217 }, name);
      // With new leaves, the first root that differs tells: that of the head which sealed the row.
      else
        t.match(
          report.findings[0],
          { tree: acme, position: sealedWith(whole, gone).from, what: isNumberMoved ? 'changed' : 'missing' },
          name,
        );
      t.notOk(report.ok);
    }
});

test('a row that was inserted is named', async (t) => {
  for (const [name, change] of [
    ['its leaf right', () => {}],
    ['its leaf wrong', (row: Row) => (row.leaf = Buffer.alloc(32, 7))],
  ] as const) {
    const record = copyRecord(whole);
    const number = rowAt(record, acme, 217).number;
    for (const row of record.rows) if (row.tree === acme && row.position >= 217) row.position += 1;
    const forged = makeRow(acme, 217, number);
    forged.kind = 'forged';
    forged.leaf = leafOfRow(forged);
    change(forged);
    record.rows.push(forged);
    const report = verified(record);
    t.match(report.firstRow, { what: 'inserted', tree: acme, position: 217, number }, `others moved up, ${name}`);
  }
  const twice = copyRecord(whole);
  twice.rows.push({ ...rowAt(twice, acme, 217), kind: 'forged' });
  t.match(
    verified(twice),
    { found: 1, firstRow: { what: 'inserted', tree: acme, position: 217 } },
    'a position that is taken',
  );
  const same = copyRecord(whole);
  same.rows.push({ ...rowAt(same, acme, 217) });
  t.match(
    verified(same),
    { found: 1, firstRow: { what: 'inserted', tree: acme, position: 217 } },
    'the same row twice',
  );
  const behind = copyRecord(whole);
  const size = inTree(behind, acme).length;
  behind.rows.push(makeRow(acme, size, 9001), makeRow(acme, size + 1, 9002));
  t.match(verified(behind), {
    found: 1,
    firstRow: { what: 'inserted', tree: acme, position: size, number: 9001, from: size, to: size + 1 },
  });
  const tree = 'cccccccc-0000-4000-8000-000000000003';
  const other = copyRecord(whole);
  other.rows.push(makeRow(tree, 0, 9001));
  t.match(verified(other), {
    found: 1,
    firstRow: { what: 'inserted', tree, position: 0, number: 9001, text: /no head names this tree/ },
  });
});

test('two rows that were swapped are named', async (t) => {
  for (const [a, b] of [
    [217, 218],
    [217, 230],
    [3, 500],
  ] as const)
    for (const isWithLeaf of [true, false])
      for (const isWithNumber of [true, false]) {
        const record = copyRecord(whole);
        const [one, other] = [rowAt(record, acme, a), rowAt(record, acme, b)];
        [one.position, other.position] = [b, a];
        if (isWithNumber) [one.number, other.number] = [other.number, one.number];
        if (!isWithLeaf) [one.leaf, other.leaf] = [other.leaf, one.leaf];
        const report = verified(record);
        const name = `${a} and ${b}, ${isWithLeaf ? 'with' : 'without'} their leaves, ${isWithNumber ? 'numbers stay at the place' : 'numbers move'}`;
        t.match(report.findings[0], { what: 'swapped', tree: acme, position: a, from: a, to: b }, name);
      }
  const computed = copyRecord(whole);
  const [one, other] = [rowAt(computed, acme, 217), rowAt(computed, acme, 218)];
  [one.position, other.position] = [218, 217];
  for (const row of [one, other]) row.leaf = leafOfRow(row);
  t.match(
    verified(computed),
    { found: 1, firstRow: { what: 'out of order', tree: acme, position: 217, number: other.number } },
    'with new leaves',
  );
});

test('lines of the dump in another order are found', async (t) => {
  const lines = [...dumpLines(whole)];
  const index = lines.indexOf(entryLine(rowAt(whole, acme, 217)));
  const swap = (i: number, j: number): readonly string[] => lines.with(i, lines[j] ?? '').with(j, lines[i] ?? '');
  t.match(verified(whole, swap(index, index + 1)), {
    found: 1,
    firstRow: { what: 'out of order', tree: acme, position: 217 },
  });
  const first = lines.indexOf(entryLine(rowAt(whole, common, 0)));
  const moved = [...lines.slice(0, first), ...lines.slice(first + 1), lines[first] ?? ''];
  t.match(
    verified(whole, moved).findings.at(-1),
    { what: 'out of order', tree: common, position: 0 },
    'behind another tree',
  );
  t.match(verified(whole, swap(3, 4)).findings[0], { what: 'head missing', head: 3 }, 'heads');
  const block = lines.findIndex((line) => line.startsWith('{"block"'));
  t.match(verified(whole, [...lines.slice(0, block), ...lines.slice(block + 1), lines[block] ?? '']).findings.at(-1), {
    what: 'block',
  });
});

test('a tree whose end was cut off is found', async (t) => {
  const size = inTree(whole, acme).length;
  const record = copyRecord(whole);
  record.rows = record.rows.filter((row) => row.tree !== acme || row.position < size - 5);
  t.match(verified(record), {
    found: 1,
    firstRow: { what: 'missing', tree: acme, position: size - 5, from: size - 5, to: size - 1 },
  });
  const gone = copyRecord(whole);
  gone.rows = gone.rows.filter((row) => row.tree !== bank);
  t.match(
    verified(gone),
    { found: 1, firstRow: { what: 'missing', tree: bank, position: 0, to: inTree(whole, bank).length - 1 } },
    'a whole tree',
  );
});

test('rows that are not entries are found', async (t) => {
  const lines = dumpLines(whole);
  const index = lines.indexOf(entryLine(rowAt(whole, acme, 217)));
  const line = lines[index] ?? '';
  for (const [name, bad] of [
    ['a text for a number', line.replace(/"entry":\["([^"]+)",217,(\d+),(\d+)/, '"entry":["$1",217,$2,"$3"')],
    ['a field too many', line.replace(/\]\}$/, ',1]}')],
    ['a salt too short', line.replace(/"[0-9a-f]{64}","/, '"00","')],
    ['a leaf in capitals', line.replace(/[0-9a-f]{64}"\]/, `${'A'.repeat(64)}"]`)],
  ] as const) {
    t.not(bad, line);
    const report = verified(whole, lines.with(index, bad));
    t.match(report, { found: 1, firstRow: { what: 'malformed', tree: acme, position: 217 } }, name);
  }
  t.match(verified(whole, [...lines, '{"other":[]}', '7', '{"entry":["x"]}']).findings, [
    { what: 'malformed' },
    { what: 'malformed' },
    { what: 'malformed' },
  ]);
});

test('everything rewritten after a change, as the owner of the database can without the key', async (t) => {
  for (const [tree, position] of [
    [acme, 217],
    [bank, 0],
    [common, 4],
  ] as const) {
    const record = copyRecord(whole);
    const row = rowAt(record, tree, position);
    row.publicText = '{"forged":true}';
    rewrite(record);
    const { head } = sealedWith(whole, row);
    const first = (whole.heads[head - 1]?.number ?? 0) + 1;
    const report = verified({ ...record, blocks: [] });
    t.equal(report.found, 1);
    const suspect = whole.rows.find(({ number }) => number === first);
    t.match(report.firstRow, {
      what: 'head changed',
      head,
      from: head,
      to: head,
      number: first,
      tree: suspect?.tree,
      position: suspect?.position,
    });
    t.match(
      report.firstRow?.text,
      new RegExp(`number ${first} is the first suspect, of ${first} to ${whole.heads[head]?.number}`),
    );
  }
});

test('the same when the witness saw only every tenth head: the range is named', async (t) => {
  const record = copyRecord(whole);
  record.notes = [10, 20, 30].map((size) => noteFor(whole, signer, size));
  t.same(verified(record).findings, [], 'its good twin');
  const row = rowAt(record, acme, 217);
  const { head } = sealedWith(whole, row);
  row.kind = 'forged';
  rewrite(record);
  t.ok(head > 10 && head < 20, `${head}`);
  const report = verified({ ...record, blocks: [] });
  t.match(report, {
    found: 1,
    findings: [{ what: 'head changed', head: 10, from: 10, to: 19, number: (whole.heads[9]?.number ?? 0) + 1 }],
  });
});

test('heads that were changed, deleted or inserted are named', async (t) => {
  const head = (change: (record: MadeRecord) => void): Report => {
    const record = copyRecord(whole);
    change(record);
    return verified(record);
  };
  const at = (record: MadeRecord, i: number) => record.heads[i] ?? { position: 0, at: 0, number: 0, lines: '' };
  t.match(
    head((r) => (at(r, 12).at += 1)),
    { found: 1, findings: [{ what: 'head changed', head: 12, from: 12, to: 12 }] },
    'its time',
  );
  t.match(head((r) => r.heads.splice(12, 1)).findings[0], {
    what: 'head missing',
    head: 12,
    number: (whole.heads[11]?.number ?? 0) + 1,
  });
  t.match(head((r) => (at(r, 12).number += 1)).findings[0], { what: 'head malformed', head: 12 }, 'its number');
  for (const [name, change] of [
    ['no newline', (lines: string) => lines.trimEnd()],
    ['another order', (lines: string) => `${lines.trimEnd().split('\n').reverse().join('\n')}\n`],
    ['a size with a zero in front', (lines: string) => lines.replace(' ', ' 0')],
    ['a blank line', (lines: string) => `${lines}\n`],
  ] as const)
    t.match(
      head((r) => (at(r, 12).lines = change(at(r, 12).lines))).findings[0],
      { what: 'head malformed', head: 12 },
      name,
    );
  t.match(
    head((r) => (at(r, 12).lines = at(r, 11).lines)).findings[0],
    { what: 'head malformed', head: 12 },
    'a tree that does not grow',
  );
});

test('an old database with its old checkpoint, compared with the newest witness', async (t) => {
  const record = copyRecord(whole);
  const number = whole.heads[19]?.number ?? 0;
  record.heads = record.heads.slice(0, 20);
  record.rows = record.rows.filter((row) => row.number <= number);
  record.blocks = [];
  t.same(
    verified({ ...record, notes: record.notes.slice(0, 20) }).findings,
    [],
    'it was good when the witness was as old',
  );
  const report = verified(record);
  t.match(report, { found: 1, findings: [{ what: 'behind', head: 20, from: 20, to: 29, number: number + 1 }] });
  t.match(
    report.findings[0]?.text,
    /it holds 20 heads, the last of 2026-11-24T18:00:19.000Z; the witness has a checkpoint of 30 heads of 2026-11-24T18:00:30.000Z/,
  );
  t.match(
    verified({ ...record, rows: [], heads: [] }),
    { found: 1, findings: [{ what: 'behind', head: 0, number: 1 }] },
    'an empty database',
  );
});

test('heads that nobody has witnessed yet are counted, and the record is good', async (t) => {
  const report = verified({ ...whole, notes: whole.notes.slice(0, 28) });
  t.same(report.findings, []);
  const [last, seen] = [whole.heads[29]?.number ?? 0, whole.heads[27]?.number ?? 0];
  t.same(report.unwitnessed, { heads: 2, entries: last - seen });
});

test('a heads log of more than a block is good; a changed block of it is found', async (t) => {
  const record: MadeRecord = emptyRecord();
  for (let i = 0; i < 260; i += 1) {
    seal(record, { [acme]: 1 });
    if (i % 50 === 9) record.notes.push(noteFor(record, signer, i + 1));
  }
  const [tree, hash] = ['ffffffff-ffff-ffff-ffff-ffffffffffff', rootOf(record.heads.slice(0, 256).map(logLeaf))];
  record.blocks.push({ tree, index: 0, hash });
  t.same(verified(record).findings, [], 'as the database prints it');
  const other = Buffer.from(hash);
  other[0] = (other[0] ?? 0) ^ 1;
  for (const blocks of [[{ tree, index: 0, hash: other }], [...record.blocks, { tree, index: 1, hash }]])
    t.match(verified({ ...record, blocks }).findings, [{ what: 'block', tree }]);
});

test('an entry in the tree of somebody else: sealed in this way, and found', async (t) => {
  for (const [tree, customer] of [
    [acme, bank],
    [acme, null],
    [common, acme],
    [common, common],
  ] as const) {
    const record = emptyRecord();
    seal(record, { [common]: 1, [acme]: 1 });
    seal(record, { [tree]: 1 }, { edit: (row) => (row.customer = customer) });
    record.notes.push(noteFor(record, signer, 2));
    t.match(
      verified(record),
      { found: 1, firstRow: { what: 'misplaced', tree, position: 1 } },
      `${tree} of ${customer}`,
    );
  }
});

test('numbers: sealed twice, or not among those of their head', async (t) => {
  const make = (edit: (row: Row, index: number) => void): Report => {
    const record = emptyRecord();
    seal(record, { [common]: 2, [acme]: 2, [bank]: 2 });
    seal(record, { [acme]: 2, [bank]: 2 }, { edit });
    record.notes.push(noteFor(record, signer, 2));
    return verified(record);
  };
  t.ok(make(() => {}).ok, 'their good twin');
  t.match(
    make((row, i) => (row.number = i === 2 ? 7 : row.number)),
    { found: 1, findings: [{ what: 'number', tree: bank, position: 2, number: 7 }] },
  );
  t.match(
    make((row, i) => (row.number = i === 3 ? 12 : row.number)),
    {
      found: 1,
      findings: [{ what: 'out of order', tree: bank, position: 3, text: /sealed the numbers 7 to 10 only/ }],
    },
  );
  t.match(make((row, i) => (row.number = i === 0 ? 6 : row.number)).findings[0], {
    what: 'out of order',
    tree: acme,
    position: 2,
  });
});

test('what the map of a head must say: sealed and signed wrongly, and found', async (t) => {
  const make = (spoil: (record: MadeRecord) => void, isEpoch: boolean, lines?: (lines: string) => string): Report => {
    const record = emptyRecord();
    seal(record, { [common]: 2, [acme]: 2, [bank]: 2 });
    seal(record, { [acme]: 2 }, lines === undefined ? { epoch: isEpoch } : { epoch: isEpoch, lines });
    spoil(record);
    record.notes.push(noteFor(record, signer, 2));
    return verified(record);
  };
  const none = (): void => {};
  const last = (record: MadeRecord) => record.heads[1] ?? t.fail('no head');
  t.ok(make(none, true).ok && make(none, false).ok, 'their good twins');
  const without = (tree: string) => (text: string) => text.replace(new RegExp(`^${tree} .*\\n`, 'm'), '');
  t.match(
    make(none, true, without(bank)).findings,
    [{ what: 'head malformed', head: 1, text: /leaves out 1 trees, the first of them bbbb/ }],
    'a tree that vanishes',
  );
  t.match(
    make(none, true, (text) => text.replace(/^(\S+) 4/m, '$1 1')).findings[0],
    { what: 'head malformed', text: /had 2 entries already/ },
    'a tree that shrinks',
  );
  t.match(
    make(none, true, (text) => text.replace(/^(bbbb\S+ 2) \S+/m, `$1 ${Buffer.alloc(32).toString('base64')}`))
      .findings[0],
    {
      what: 'head malformed',
      text: /did not grow, and its root is another/,
    },
  );
  t.match(
    make(none, false, (text) => `${text}${lineOf({ tree: bank, size: 2, root: Buffer.alloc(32) })}`).findings[0],
    { what: 'head malformed' },
    'a tree that did not grow, inside an epoch',
  );
  const otherMap = make((record) => Object.assign(last(record), { mapRoot: Buffer.alloc(32) }), false);
  t.match(otherMap.findings, [{ what: 'head changed', from: 0, to: 1 }], 'a map root that is not that of the trees');
  const again = emptyRecord();
  seal(again, { [acme]: 1 });
  const first = again.heads[0]?.secret ?? Buffer.alloc(32);
  seal(again, { [acme]: 1 }, { epoch: true });
  seal(again, { [acme]: 1 }, { epoch: true, secret: first });
  again.notes.push(noteFor(again, signer, 3));
  t.match(
    verified(again).findings,
    [{ what: 'head malformed', head: 2, text: /that of an earlier epoch/ }],
    'a secret that comes back',
  );
  const idle = emptyRecord();
  seal(idle, { [acme]: 1 });
  seal(idle, {}, { epoch: true });
  idle.notes.push(noteFor(idle, signer, 2));
  t.ok(verified(idle).ok, 'a head for an epoch alone');
  seal(idle, {});
  idle.notes.push(noteFor(idle, signer, 3));
  t.match(verified(idle).findings, [{ what: 'head malformed', head: 2, text: /seals nothing/ }], 'a head for nothing');
});

test('a tree that was rewritten and signed: the earlier roots do not fit, though the last one does', async (t) => {
  const record = emptyRecord();
  seal(record, { [common]: 2, [acme]: 2 });
  seal(record, { [acme]: 2 });
  const row = rowAt(record, acme, 1);
  row.kind = 'forged';
  row.leaf = leafOfRow(row);
  seal(record, { [acme]: 2 });
  record.notes.push(noteFor(record, signer, 1), noteFor(record, signer, 3));
  t.match(verified(record).findings, [{ what: 'changed', tree: acme, position: 0, from: 0, to: 1, head: 0 }]);
});

test('format 1 is refused with a sentence', async (t) => {
  const lines = dumpLines(whole);
  const head = whole.heads[0];
  const old = verified(whole, [JSON.stringify({ head: [0, head?.at, head?.number, head?.lines] }), ...lines.slice(1)]);
  t.match(old.findings[0], { what: 'head malformed', text: /head of format 1, and this verifier reads format 2 only/ });
  const record = copyRecord(whole);
  record.notes[3] = (record.notes[3] ?? '').replace('Z\n\n', 'Z\nentries 12\n\n');
  t.match(verified(record), { found: 1, findings: [{ what: 'note malformed', text: /checkpoint of format 1/ }] });
});

test('a key that occurs twice in one object, and numbers in another spelling', async (t) => {
  const lines = dumpLines(whole);
  const index = lines.indexOf(entryLine(rowAt(whole, acme, 217)));
  const line = lines[index] ?? '';
  const second = line.replace(/^\{/, '{"entry":[],');
  for (const [name, bad] of [
    ['a key twice', second],
    ['a fraction', line.replace(',217,', ',217.0,')],
    ['an exponent', line.replace(',217,', ',217e0,')],
    ['half a pair', line.replace('"warden"', '"\\ud800"')],
  ] as const)
    if (bad !== line) t.match(verified(whole, lines.with(index, bad)).verdict, 'bad', name);
  t.equal(parseStrictly('{"a":{"b":1,"b":1}}'), undefined);
  t.equal(parseStrictly('{"a":1,"\\u0061":1}'), undefined, 'the same key, written otherwise');
  t.equal(parseStrictly('[-0]'), undefined);
  t.equal(parseStrictly('[1E2]'), undefined);
  t.same(parseStrictly('{"a":"x:\\\\","b":[{"c":":"},true,-7]}'), { a: 'x:\\', b: [{ c: ':' }, true, -7] });
});
