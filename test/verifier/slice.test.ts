// One customer's slice: good as it is, and in no altered form.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'tap';
import { headLines, headText, leafData } from '../../server/domain/ledger/leaf.ts';
import { parseVerifierKey, type SliceReport, sliceText, verifySlice } from '../../verifier/ledger-verifier.ts';
import {
  acme,
  bank,
  copyRecord,
  fileText,
  inTree,
  logLeaf,
  makeRecord,
  makeSigner,
  noteFor,
  pathOf,
  type Row,
  sha256,
  witnessText,
} from '../support/ledger-record.ts';

const signer = makeSigner();
const keys = [parseVerifierKey(signer.verifierKey)];
const whole = makeRecord(signer);
const base64 = (hashes: readonly Buffer[]): string[] => hashes.map((hash) => hash.toString('base64'));

type Shown = { shown: (string | number | null)[]; salt: string; sensitive: string; proof: string[] };
type Start = {
  version: number;
  checkpoint: string;
  head: { position: number; text: string; proof: string[] };
  tree: { id: string; size: number };
};

function shownOf(row: Row, leaves: readonly Buffer[]): Shown {
  const r = row;
  const sensitive = Buffer.from(leafData((data) => sha256(data), row, row.salt)).subarray(32);
  const shown = [
    r.tree,
    r.position,
    r.number,
    r.at,
    r.kind,
    r.observer,
    r.customer,
    r.account,
    r.session,
    r.node,
    r.plane,
    r.handle,
    r.version,
  ];
  return {
    shown: [...shown, r.extent, r.bytes, r.publicText],
    salt: r.salt.toString('hex', 0, 16),
    sensitive: sensitive.toString('hex'),
    proof: base64(pathOf(row.position, leaves)),
  };
}

/** A slice of some entries, as of the newest head that names the tree. */
function makeSlice(positions: readonly number[]): { start: Start; entries: Shown[] } {
  const rows = inTree(whole, acme);
  const leaves = rows.map(({ leaf }) => leaf);
  const head = whole.heads.findLast(({ lines }) => lines.includes(acme));
  if (head === undefined) throw new Error('no head');
  const { position, at, number, lines } = head;
  return {
    start: {
      version: 1,
      checkpoint: noteFor(whole, signer, 30),
      head: { position, text: headText(position, at, lines, String(number)), proof: base64(pathOf(position, whole.heads.map(logLeaf))) },
      tree: { id: acme, size: leaves.length },
    },
    entries: rows.filter((row) => positions.includes(row.position)).map((row) => shownOf(row, leaves)),
  };
}

const positions = [0, 5, 216, 217, 300, 699];
const linesOf = ({ start, entries }: { start: unknown; entries: readonly unknown[] }): readonly string[] =>
  [{ slice: start }, ...entries].map((line) => JSON.stringify(line));
const verified = (lines: readonly string[], witnesses: readonly string[] = []): Promise<SliceReport> =>
  verifySlice({ keys, witnesses, slice: Readable.from([Buffer.from(fileText(lines))]) });

test('a good slice', async (t) => {
  const report = await verified(linesOf(makeSlice(positions)));
  t.same(report.findings, []);
  t.match(report, { ok: true, tree: acme, entries: positions.length, newest: { size: 30, era: 1 } });
  t.match(sliceText(report, false), /not compared with a witness[\s\S]*GOOD/);
  t.match(await verified(linesOf(makeSlice([]))), { ok: true, entries: 0 }, 'of nothing');
  const text = JSON.stringify(makeSlice(positions));
  for (const row of inTree(whole, acme))
    if (row.credential !== null && text.includes(`${row.credential}"`)) t.fail('a sensitive field is shown');
});

test('each field of an entry, changed: the first one that fails is named', async (t) => {
  const columns = 'tree position number at kind observer customer account session node plane handle version extent bytes publicText'.split(
    ' ',
  );
  for (const [column, name] of columns.entries()) {
    const slice = makeSlice(positions);
    const entry = slice.entries[3];
    const value = entry?.shown[column];
    if (entry === undefined) throw new Error('no entry');
    const isNumber = ['position', 'number', 'at', 'extent', 'bytes'].includes(name);
    entry.shown[column] = isNumber ? Number(value ?? 0) + 1 : bank;
    const report = await verified(linesOf(slice));
    const what = name === 'tree' ? 'inserted' : 'changed';
    t.equal(report.found, 1, name);
    t.match(report.firstRow, { what, tree: entry.shown[0], position: entry.shown[1], number: entry.shown[2], text: /line 5/ }, name);
  }
  const rest: Readonly<Record<string, (entry: Shown) => void>> = {
    salt: (entry) => (entry.salt = `00${entry.salt.slice(2)}`),
    sensitive: (entry) => (entry.sensitive = `00${entry.sensitive.slice(2)}`),
    'a hash of the proof': (entry) => (entry.proof = entry.proof.with(2, Buffer.alloc(32).toString('base64'))),
    'a hash less': (entry) => entry.proof.pop(),
    'a hash more': (entry) => entry.proof.push(Buffer.alloc(32).toString('base64')),
    'two hashes swapped': (entry) => (entry.proof = entry.proof.with(0, entry.proof[1] ?? '').with(1, entry.proof[0] ?? '')),
  };
  for (const [name, change] of Object.entries(rest)) {
    const slice = makeSlice(positions);
    const entry = slice.entries[3];
    if (entry !== undefined) change(entry);
    t.match(await verified(linesOf(slice)), { found: 1, firstRow: { what: 'changed', position: 217, number: entry?.shown[2] } }, name);
  }
});

test('entries out of order, twice, of another tree, malformed', async (t) => {
  const { start, entries } = makeSlice(positions);
  const [a, b, c] = entries;
  if (a === undefined || b === undefined || c === undefined) throw new Error('no entry');
  t.match(await verified(linesOf({ start, entries: [b, a, c] })), { found: 1, firstRow: { what: 'out of order', position: 0 } });
  t.match(await verified(linesOf({ start, entries: [a, a, b] })), { found: 1, firstRow: { what: 'inserted', position: 0 } });
  const other = inTree(whole, bank);
  const foreign = shownOf(
    other[0] ?? never(),
    other.map(({ leaf }) => leaf),
  );
  t.match(await verified(linesOf({ start, entries: [a, foreign] })), { found: 1, firstRow: { what: 'inserted', tree: bank, position: 0 } });
  for (const bad of [{}, { ...b, salt: 'zz' }, { ...b, proof: 'x' }, { ...b, shown: b.shown.slice(1) }, { ...b, sensitive: null }, 7])
    t.match(await verified(linesOf({ start, entries: [a, bad, c] })), { found: 1, findings: [{ what: 'malformed', text: /line 3/ }] });
});

test('each part of the first line, changed', async (t) => {
  const good = makeSlice(positions);
  const otherLines = headLines([{ tree: acme, size: 700, root: Buffer.alloc(32).toString('base64') }]);
  const head = good.start.head;
  const starts: Readonly<Record<string, readonly [string, Start]>> = {
    version: ['slice malformed', { ...good.start, version: 2 }],
    'no checkpoint': ['note malformed', { ...good.start, checkpoint: 'x' }],
    'a checkpoint of another key': ['note forged', { ...good.start, checkpoint: noteFor(whole, makeSigner(), 30) }],
    'an older checkpoint': ['head changed', { ...good.start, checkpoint: noteFor(whole, signer, 29) }],
    'another position': ['head changed', { ...good.start, head: { ...head, position: head.position - 1 } }],
    'another text': ['head changed', { ...good.start, head: { ...head, text: head.text.replace(/\d+\n/, '7\n') } }],
    'another root': ['head changed', { ...good.start, head: { ...head, text: headText(head.position, 1, otherLines, '770') } }],
    'another proof': ['head changed', { ...good.start, head: { ...head, proof: head.proof.slice(1) } }],
    'another size': ['slice malformed', { ...good.start, tree: { id: acme, size: 699 } }],
    'a tree that the head does not name': ['slice malformed', { ...good.start, tree: { id: acme.replace('1', '2'), size: 700 } }],
  };
  for (const [name, [what, start]] of Object.entries(starts)) {
    const report = await verified(linesOf({ start, entries: good.entries }));
    t.equal(report.findings[0]?.what, what, name);
    t.notOk(report.ok, name);
  }
  t.match(await verified([]), { ok: false, findings: [{ what: 'slice malformed' }] }, 'nothing at all');
  t.notOk((await verified(linesOf(good).slice(1))).ok, 'the first line is not there');
});

test('a slice against a witness', async (t) => {
  const lines = linesOf(makeSlice(positions));
  const root = t.testdir();
  const witness = (name: string, notes: readonly string[]): readonly string[] => {
    mkdirSync(join(root, name));
    writeFileSync(join(root, name, 'checkpoints-2026-11-24.jsonl'), witnessText(notes));
    return [join(root, name)];
  };
  const same = await verified(lines, witness('same', whole.notes));
  t.same(same.findings, []);
  t.notMatch(sliceText(same, true), /not compared/);
  t.ok(
    (await verified(lines, witness('again', [...whole.notes.slice(0, 29), noteFor(whole, signer, 30, 1, 99)]))).ok,
    'signed at another time',
  );
  const older = await verified(lines, witness('older', whole.notes.slice(0, 29)));
  t.match(older, { found: 1, findings: [{ what: 'not in this witness', text: /larger than the newest there; bring a newer copy/ }] });
  const hole = await verified(lines, witness('hole', [...whole.notes.slice(0, 29), noteFor(whole, signer, 30, 2, 99)]));
  t.match(hole, { found: 1, findings: [{ what: 'not in this witness' }] }, 'another era');
  const record = copyRecord(whole);
  const last = record.heads[29];
  if (last !== undefined) last.at += 1;
  const truth = await verified(lines, witness('truth', [...whole.notes.slice(0, 29), noteFor(record, signer, 30)]));
  t.match(truth, { found: 1, findings: [{ what: 'not in this witness' }] }, 'another root of that size');
  const lost = await verified(lines, witness('lost', [...whole.notes, noteFor(whole, signer, 25, 2, 99)]));
  t.match(lost, { found: 1, findings: [{ what: 'not in this witness', text: /was abandoned/ }] });
});

function never(): never {
  throw new Error('no such row');
}
