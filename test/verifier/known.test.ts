// What a good verification leaves for the next one: proved anew by its own checkpoint, extended to the same result as
// by reading everything, and no excuse for what comes.
import { test } from 'tap';
import {
  type Known,
  parseStrictly,
  parseVerifierKey,
  proveKnown,
  type Report,
  Verification,
  Witness,
} from '../../verifier/index.js';
import {
  acme,
  addBlocks,
  bank,
  common,
  copyRecord,
  dumpLines,
  emptyRecord,
  leafOfRow,
  logLeaf,
  type MadeRecord,
  makeRecord,
  makeSigner,
  noteFor,
  rewrite,
  rootOf,
  seal,
  startMs,
  treeStatesAt,
} from './make-record.ts';

const headsTree = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
const signer = makeSigner();
const keys = [parseVerifierKey(signer.verifierKey)];
const whole = makeRecord(signer);
const now = startMs + 60_000;

type Seen = { readonly report: Report; readonly known: Known | undefined };

function finish(notes: readonly string[], lines: readonly string[], earlier?: Known): Seen {
  const base = earlier === undefined ? undefined : proveKnown(JSON.parse(JSON.stringify(earlier)), keys);
  if (typeof base === 'string') throw new Error(base);
  const witness = new Witness(keys);
  if (base !== undefined) witness.remember(base.note, base.text);
  notes.reduce<ReturnType<Witness['add']>>((before, note) => witness.add(note, 'note', before), undefined);
  witness.close();
  const verification = new Verification({ witness, now, maxAgeSeconds: 600, base });
  for (const [i, line] of lines.entries()) verification.line(parseStrictly(line), `line ${i + 1}`);
  return { report: verification.finish(), known: verification.known() };
}

/** The record as it was after this many heads, of which this many have a checkpoint. */
function upTo(record: MadeRecord, heads: number, notes = heads): MadeRecord {
  const sizes = new Map(treeStatesAt(record, heads - 1).map(({ tree, size }) => [tree, size]));
  const first = copyRecord(record);
  first.rows = first.rows.filter(({ tree, position }) => position < (sizes.get(tree) ?? 0));
  first.heads = first.heads.slice(0, heads);
  first.notes = first.notes.slice(0, notes);
  first.blocks = first.blocks.filter(
    ({ tree, index }) => (index + 1) * 256 <= (tree === headsTree ? heads : (sizes.get(tree) ?? 0)),
  );
  return first;
}

/** What a dump has after this many heads: the last of them once more, and of each tree what is beyond its size. */
function linesSince(record: MadeRecord, heads: number): readonly string[] {
  const sizes = new Map([
    ...treeStatesAt(record, heads - 1).map(({ tree, size }) => [tree, size] as const),
    [headsTree, heads],
  ]);
  const later = copyRecord(record);
  later.rows = later.rows.filter(({ tree, position }) => position >= (sizes.get(tree) ?? 0));
  later.heads = later.heads.slice(heads - 1);
  later.blocks = later.blocks.filter(({ tree, index }) => index >= Math.floor((sizes.get(tree) ?? 0) / 256));
  return dumpLines(later);
}

function knownAt(record: MadeRecord, heads: number, notes = heads): Known {
  const first = upTo(record, heads, notes);
  const { report, known } = finish(first.notes, dumpLines(first));
  if (known === undefined || !report.ok)
    throw new Error(`the first ${heads} heads left nothing: ${report.findings[0]?.text}`);
  return known;
}

const since = (record: MadeRecord, heads: number, known = knownAt(record, heads)): Seen =>
  finish(record.notes.slice(heads), linesSince(record, heads), known);

test('from every head on, reading what is new gives the same result as reading everything', (t) => {
  const all = finish(whole.notes, dumpLines(whole));
  t.ok(all.report.ok);
  for (let heads = 1; heads < whole.heads.length; heads += 1) {
    const { report, known } = since(whole, heads);
    const before = treeStatesAt(whole, heads - 1).reduce((sum, { size }) => sum + size, 0);
    if (!report.ok || report.entries !== whole.rows.length - before)
      t.same(report.findings, [], `behind ${heads} heads`);
    t.same(known, all.known, `behind ${heads} heads`);
  }
  t.end();
});

test('one step after the other, with blocks of the heads log on the way', (t) => {
  const record = emptyRecord();
  for (let i = 0; i < 260; i += 1) seal(record, { [i % 7 === 0 ? acme : common]: 1 }, { epoch: i === 100 });
  record.notes = record.heads.map((_, i) => (i % 3 === 0 || i === 259 ? noteFor(record, signer, i + 1, 1, 50) : ''));
  addBlocks(record);
  record.blocks.push({ tree: headsTree, index: 0, hash: rootOf(record.heads.slice(0, 256).map(logLeaf)) });
  const notes = record.notes.filter((note) => note !== '');
  const noted = { ...record, notes };
  const upToNotes = (heads: number): number => record.notes.slice(0, heads).filter((note) => note !== '').length;
  const all = finish(notes, dumpLines(noted));
  t.same(all.report.findings, []);
  let known = knownAt(noted, 1, 1);
  for (const heads of [4, 100, 103, 250, 259, 260]) {
    const from = Number(known.head.position) + 1;
    const step = upTo(noted, heads, upToNotes(heads));
    const seen = finish(step.notes.slice(upToNotes(from)), linesSince(step, from), known);
    t.same(seen.report.findings, [], `heads ${from} to ${heads}`);
    t.ok(seen.known);
    known = seen.known ?? known;
  }
  t.same(known, all.known);
  const broken = copyRecord(noted);
  broken.blocks[broken.blocks.length - 1] = { tree: headsTree, index: 0, hash: Buffer.alloc(32) };
  t.match(
    finish(notes.slice(upToNotes(250)), linesSince(broken, 250), knownAt(noted, 250, upToNotes(250))).report.findings,
    [{ what: 'block' }],
  );
  t.end();
});

test('what was sealed after the newest checkpoint is not known, and is read again', (t) => {
  const known = knownAt(whole, 20, 17);
  t.equal(known.head.position, 16);
  t.same(known, knownAt(whole, 17), 'an epoch that began behind it, and trees that grew, are not in it');
  const { report } = finish(whole.notes.slice(17), linesSince(whole, 17), known);
  t.ok(report.ok);
  t.end();
});

test('what was kept is proved by its own checkpoint: sizes, roots, numbers, head, log, key', (t) => {
  const known = knownAt(whole, 20);
  const [first = ['', 0, ''] as const, second = first, ...more] = known.trees;
  t.type(proveKnown(known, keys), 'object', 'as it is it is taken');
  const bytes = (text: string): string => {
    const changed = Buffer.from(text, 'base64');
    changed[0] = (changed[0] ?? 0) ^ 1;
    return changed.toString('base64');
  };
  const other = makeSigner(signer.name);
  const forged: Readonly<Record<string, unknown>> = {
    'another root of a tree': { ...known, trees: [[first[0], first[1], bytes(first[2])], second, ...more] },
    'another size with as many roots': { ...known, trees: [[first[0], first[1] * 2, first[2]], second, ...more] },
    'a tree left out': { ...known, trees: [second, ...more] },
    'a tree that was never sealed': {
      ...known,
      trees: [...known.trees, ['eeeeeeee-0000-4000-8000-000000000001', 1, `${first[2].slice(0, 43)}=`]],
    },
    'another number': { ...known, head: { ...known.head, number: known.head.number - 1 } },
    'another time': { ...known, head: { ...known.head, at: known.head.at + 1 } },
    'another secret': { ...known, head: { ...known.head, secret: bytes(known.head.secret) } },
    'an earlier head': { ...known, head: { ...known.head, position: known.head.position - 1 } },
    'another log': { ...known, log: bytes(known.log) },
    'the checkpoint of another size': { ...known, note: whole.notes[18] },
    'a checkpoint that is none': { ...known, note: 'none' },
    'a checkpoint of another key': { ...known, note: noteFor(whole, other, 20) },
    nothing: null,
    'a field too many': { ...known, more: 1 },
    'trees in another order': { ...known, trees: known.trees.toReversed() },
    'a place that is none': { ...known, witnesses: [{ directory: 1, days: [], files: [] }] },
  };
  for (const [what, value] of Object.entries(forged)) t.type(proveKnown(value, keys), 'string', what);
  t.end();
});

test('each kind of change among what is new is found as by reading everything', (t) => {
  const heads = 12;
  const known = knownAt(whole, heads);
  const sizes = new Map(treeStatesAt(whole, heads - 1).map(({ tree, size }) => [tree, size]));
  const isNew = ({ tree, position }: { tree: string; position: number }): boolean => position >= (sizes.get(tree) ?? 0);
  const of = (change: (record: MadeRecord) => void): Report => {
    const record = copyRecord(whole);
    change(record);
    return finish(whole.notes.slice(heads), linesSince(record, heads), known).report;
  };
  t.ok(of(() => {}).ok, 'untouched it is good');
  for (const tree of [acme, bank, common])
    for (const pick of [0, 5, -1]) {
      const at = whole.rows.filter((row) => row.tree === tree && isNew(row)).at(pick)?.position ?? -1;
      const rowOf = (record: MadeRecord) => record.rows.find((row) => row.tree === tree && row.position === at);
      const edit = (record: MadeRecord): void => {
        const row = rowOf(record);
        if (row !== undefined) row.bytes = 4711;
      };
      t.match(of(edit), { verdict: 'bad', firstRow: { what: 'changed', tree, position: at } });
      const withLeaf = (record: MadeRecord): void => {
        edit(record);
        const row = rowOf(record);
        if (row !== undefined) row.leaf = leafOfRow(row);
      };
      t.match(of(withLeaf), { verdict: 'bad', firstRow: { tree } });
      t.match(
        of((record) => {
          edit(record);
          rewrite(record);
        }),
        { verdict: 'bad' },
        'with everything that was computed from it',
      );
      const without = (record: MadeRecord): void => {
        record.rows = record.rows.filter((row) => row.tree !== tree || row.position !== at);
      };
      t.match(of(without), { verdict: 'bad', findings: [{ what: 'missing' }] });
    }
  const extra = of((record) =>
    record.rows.push({
      ...(record.rows.at(-1) as MadeRecord['rows'][number]),
      tree: bank,
      customer: bank,
      position: 9999,
    }),
  );
  t.match(extra, { verdict: 'bad', firstRow: { what: 'inserted' } }, 'a row behind the end of a tree');
  t.match(
    of((record) => record.heads.splice(15, 1)),
    { verdict: 'bad', findings: [{ what: 'head missing' }] },
  );
  t.end();
});

test('the last head that was known must be there, and be the same', (t) => {
  const known = knownAt(whole, 12);
  const of = (lines: readonly string[], notes: readonly string[]): Report => finish(notes, lines, known).report;
  t.match(of([], []), {
    verdict: 'bad',
    findings: [{ what: 'behind', head: 11, text: /the database was set back: it does not hold head 11/ }],
  });
  const lines = linesSince(whole, 12);
  t.match(of(lines.slice(1), whole.notes.slice(12)), {
    verdict: 'bad',
    findings: [{ what: 'head missing', head: 11 }],
  });
  for (const edit of [
    (head: unknown[]) => (head[1] = Number(head[1]) + 1),
    (head: unknown[]) => (head[4] = String(head[4]).replace(/ \d+ /, ' 7 ')),
  ]) {
    const [first = '', ...rest] = lines;
    const { head } = JSON.parse(first) as { head: unknown[] };
    edit(head);
    t.match(of([JSON.stringify({ head }), ...rest], whole.notes.slice(12)), {
      findings: [{ what: 'head changed', head: 11 }],
    });
  }
  t.end();
});

test('false sealing after it is found: an old root, an old number, an old secret, a tree that is left out of an epoch', (t) => {
  const sealed = (grow: (record: MadeRecord) => void): Report => {
    const record = copyRecord(whole);
    grow(record);
    record.notes.push(noteFor(record, signer, record.heads.length));
    return since(record, 30, knownAt(whole, 30)).report;
  };
  const at = (record: MadeRecord, head: number): Buffer => record.heads[head]?.secret ?? Buffer.alloc(0);
  t.ok(sealed((record) => seal(record, { [bank]: 2 }, { epoch: true })).ok, 'an epoch that names all trees is good');
  t.ok(
    sealed((record) => seal(record, { 'cccccccc-0000-4000-8000-000000000003': 3 })).ok,
    'and so is a tree that is new',
  );
  t.match(
    sealed((record) => seal(record, { [bank]: 2 }, { epoch: true, secret: at(record, 0) })),
    { findings: [{ text: /earlier epoch/ }] },
  );
  const without = (lines: string): string => lines.replace(/^aaaa.*\n/m, '');
  t.match(
    sealed((record) => seal(record, { [bank]: 2 }, { epoch: true, lines: without })),
    { findings: [{ text: /leaves out 1 trees/ }] },
  );
  t.match(
    sealed((record) => {
      const row = record.rows.find(({ tree }) => tree === acme);
      if (row !== undefined) row.bytes = 4711;
      if (row !== undefined) row.leaf = leafOfRow(row);
      seal(record, { [bank]: 2 }, { epoch: true });
    }),
    { findings: [{ text: /tree aaaa\S+ did not grow, and its root is another than before/ }] },
    'a tree that did not grow keeps its root',
  );
  t.match(
    sealed((record) => seal(record, { [bank]: 1 }, { edit: (row) => (row.number = 3) })),
    { findings: [{ text: /number/ }] },
    'a number that an earlier run has seen',
  );
  t.end();
});
