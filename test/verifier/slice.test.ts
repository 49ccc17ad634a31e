// One customer's slice: good as it is, good in no altered form, and never good when an entry is left out.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'tap';
import {
  parseStrictly,
  parseVerifierKey,
  type SliceReport,
  SliceVerification,
  sliceText,
  verifySlice,
  Witness,
} from '../../verifier/index.js';
import {
  acme,
  anchorOf,
  bank,
  common,
  copyRecord,
  emptyRecord,
  fileText,
  makeRecord,
  makeSigner,
  noteFor,
  type Row,
  seal,
  sliceLines,
  type Wanted,
  witnessText,
} from './make-record.ts';

const signer = makeSigner();
const keys = [parseVerifierKey(signer.verifierKey)];
const whole = makeRecord(signer);
/** Heads 0, 16 and 30 begin an epoch. */
seal(whole, { [acme]: 3, [bank]: 1 }, { epoch: true });
whole.notes.push(noteFor(whole, signer, 31));
const selected = (row: Row): boolean => row.position % 50 === 7;
const wanted: Wanted = { customer: acme, from: 16, to: 30, selected };
const lines = sliceLines(whole, signer, wanted);

function witnessOf(notes: readonly string[]): Witness {
  const witness = new Witness(keys);
  notes.reduce<ReturnType<Witness['add']>>((before, note) => witness.add(note, 'note', before), undefined);
  witness.close();
  return witness;
}

function verified(given: readonly string[], notes: readonly string[] | null = whole.notes): SliceReport {
  const verification = new SliceVerification(keys, notes === null ? undefined : witnessOf(notes));
  for (const [i, line] of given.entries()) verification.line(parseStrictly(line), `line ${i + 1}`);
  return verification.finish();
}

const whats = (report: SliceReport): readonly string[] => report.findings.map(({ what }) => what);

type Anchor = {
  readonly head: { position: number; text: string; proof: string[] };
  readonly tree: { size: number; root: string; blind: string; slot: number; path: string[] };
  checkpoint: unknown;
};
type AnchorParts = { -readonly [Name in keyof Anchor]: Anchor[Name] };
type Header = {
  version: number;
  customer: string;
  begin: number | null;
  end?: number;
  says: string;
  subject?: string;
  from: AnchorParts;
  to: AnchorParts;
  frontier: string[];
  entries: number;
  selected: number;
};
type Line = { shown: unknown[]; salt: string; sensitive: string; selected?: boolean };

/** The slice with its first line changed. */
function withHeader(change: (header: Header) => void, of = lines): readonly string[] {
  const first = JSON.parse(of[0] ?? '');
  change(first.slice);
  return [JSON.stringify(first), ...of.slice(1)];
}

test('a slice is good: every entry between two checkpoints; the sentence says what is proved and what is only stated', async (t) => {
  const report = verified(lines);
  t.same(report.findings, []);
  t.match(report, {
    verdict: 'good',
    tree: acme,
    says: 'affected',
    entries: 349,
    selected: 7,
    positions: { from: 354, to: 703 },
    from: { position: 16, at: '2026-11-24T18:00:16.000Z' },
    to: { position: 30, at: '2026-11-24T18:00:30.000Z' },
    begin: '2026-11-24T18:00:16.000Z',
    end: '2026-11-24T18:00:30.000Z',
    isWitnessed: true,
  });
  const text = sliceText(report);
  t.match(
    text,
    /GOOD: these are all entries of this customer that were sealed behind head 16 \(sealed 2026-11-24T18:00:16\.000Z\) up to head 30 \(sealed 2026-11-24T18:00:30\.000Z\) \(positions 354 to 702, none is missing\), and each is what was sealed\. That is proved\./,
  );
  t.match(
    text,
    /Nobody vouches for what follows: it is not signed, .*: that 7 of these entries belong to "what was done in one session"/,
  );
  t.match(text, new RegExp(`slice of customer ${acme}: 349 entries`));
  t.notMatch(text, /18:00:17|18:00:31/, 'never the time of a checkpoint');
  t.match(text, /looked for among 31 of the witness/);
  t.match(sliceText(verified(lines, null)), /not compared with a witness/);
});

test('other good slices: from the first entry, of nothing new, of a customer who was not touched', async (t) => {
  const all = verified(sliceLines(whole, signer, { customer: acme, from: null, to: 30, selected }));
  t.match(all, { verdict: 'good', entries: 703, from: null, begin: null, positions: { from: 0, to: 703 } });
  t.match(sliceText(all), /from the first entry ever/);
  t.match(verified(sliceLines(whole, signer, { customer: bank, from: 16, to: 30 })), {
    verdict: 'good',
    says: 'not-affected',
    selected: 0,
  });
  const record = copyRecord(whole);
  seal(record, { [bank]: 1 }, { epoch: true });
  record.notes.push(noteFor(record, signer, 32));
  const none = verified(sliceLines(record, signer, { customer: acme, from: 30, to: 31 }), record.notes);
  t.match(none, { verdict: 'good', entries: 0 });
  t.match(sliceText(none), /\(there is none\), and each is what was sealed/);
  const one = emptyRecord();
  seal(one, { [acme]: 1 });
  one.notes.push(noteFor(one, signer, 1));
  t.match(verified(sliceLines(one, signer, { customer: acme, from: null, to: 0 }), one.notes), {
    verdict: 'good',
    entries: 1,
  });
});

test('nothing of another customer is in it', async (t) => {
  const text = lines.join('\n');
  for (const other of [bank, common, bank.replaceAll('-', '')]) t.notOk(text.includes(other), other);
  t.notMatch(text, /sensitive\/2|password:|SHA256:|olga/);
  t.notMatch(text, /"number"/);
});

test('an entry that is left out is missed, wherever it was and whatever else is made to fit', async (t) => {
  for (const at of [1, 2, 177, lines.length - 1]) {
    const cut = lines.toSpliced(at, 1);
    t.match(verified(cut), { verdict: 'bad' }, `line ${at}`);
    t.equal(verified(withHeader((header) => (header.entries -= 1), cut)).verdict, 'bad', `line ${at}, counted anew`);
  }
  t.match(verified(lines.toSpliced(100, 1)).findings[0], {
    what: 'missing',
    position: 454,
    text: /position 453 should be here: it was left out/,
  });
  const short = withHeader((header) => Object.assign(header, { entries: 1, selected: 0, says: 'not-affected' })).slice(
    0,
    2,
  );
  t.match(
    verified(short),
    {
      verdict: 'bad',
      findings: [{ what: 'slice incomplete', text: /has to hold 349 entries; it says 1 and holds 1/ }],
    },
    'cut to one entry',
  );
  t.equal(verified([lines[0] ?? '']).verdict, 'bad');
  t.match(whats(verified([])), ['slice malformed']);
});

test('entries that are changed, exchanged, repeated, or those of somebody else', async (t) => {
  const line = JSON.parse(lines[100] ?? '');
  const put = (change: (line: Line) => void): SliceReport => {
    const other = structuredClone(line);
    change(other);
    return verified(lines.with(100, JSON.stringify(other)));
  };
  for (let field = 0; field < 15; field += 1)
    t.equal(
      put(({ shown }) => (shown[field] = typeof shown[field] === 'number' ? Number(shown[field]) + 1 : bank)).verdict,
      'bad',
      `field ${field}`,
    );
  t.equal(put((one) => (one.salt = '0'.repeat(32))).verdict, 'bad');
  t.equal(put((one) => (one.sensitive = '0'.repeat(64))).verdict, 'bad');
  t.match(
    put((one) => Object.assign(one, { more: 1 })).findings[0],
    { what: 'malformed' },
    'a field that nobody knows',
  );
  t.match(put((one) => delete one.selected).findings[0], { what: 'malformed' });
  t.match(
    verified(lines.with(100, lines[101] ?? '').with(101, lines[100] ?? '')).findings[0],
    { what: 'missing' },
    'exchanged',
  );
  t.match(verified(lines.toSpliced(100, 0, lines[100] ?? '')).findings[0], { what: 'out of order' }, 'repeated');
  const theirs = sliceLines(whole, signer, { customer: bank, from: 16, to: 30 });
  t.match(verified([...lines, theirs[1] ?? '']).findings[0], { what: 'inserted', text: /not of customer/ });
  const twice = (lines[100] ?? '').replace('"selected":', '"selected":false,"selected":');
  t.match(verified(lines.with(100, twice)).findings[0], { what: 'malformed' }, 'a key that stands twice');
});

test('which entries are selected is stated, and must be stated without contradiction', async (t) => {
  const marked = lines.with(101, (lines[101] ?? '').replace('"selected":false', '"selected":true'));
  t.not(marked[101], lines[101]);
  t.match(verified(marked).findings, [
    { what: 'slice malformed', text: /says that 7 entries are selected, and 8 are marked so/ },
  ]);
  t.equal(
    verified(withHeader((header) => (header.selected = 8), marked)).verdict,
    'good',
    'that is the operator\u2019s word',
  );
  t.match(verified(withHeader((header) => (header.says = 'not-affected'))).findings, [
    { what: 'slice malformed', text: /says not-affected/ },
  ]);
  const none = sliceLines(whole, signer, { ...wanted, selected: () => false });
  t.match(verified(withHeader((header) => (header.says = 'affected'), none)).findings, [
    { what: 'slice malformed', text: /says affected/ },
  ]);
});

test('each step of the path from a checkpoint to the tree is verified', async (t) => {
  const zero = Buffer.alloc(32).toString('base64');
  const other = sliceLines(whole, signer, { customer: bank, from: 16, to: 30 });
  const theirs = JSON.parse(other[0] ?? '').slice;
  const changes: Readonly<Record<string, (header: Header) => void>> = {
    'another customer': (h) => (h.customer = bank),
    'another tree\u2019s way': (h) => (h.to.tree = theirs.to.tree),
    'a size more': (h) => (h.to.tree.size += 1),
    'a size less': (h) => (h.to.tree.size -= 1),
    'another root': (h) => (h.to.tree.root = zero),
    'another blind': (h) => (h.to.tree.blind = zero),
    'another slot': (h) => (h.to.tree.slot = (h.to.tree.slot + 1) % 2 ** 32),
    'a slot that is none': (h) => (h.to.tree.slot = 2 ** 32),
    'another sibling': (h) => (h.to.tree.path[5] = zero),
    'a sibling less': (h) => h.to.tree.path.pop(),
    'a sibling more': (h) => h.to.tree.path.push(zero),
    'another head': (h) => (h.to.head = h.from.head),
    'its position': (h) => (h.to.head.position -= 1),
    'its text': (h) => (h.to.head.text = h.to.head.text.replace(/\n\d{10,}\n/, '\n7\n')),
    'its proof': (h) => h.to.head.proof.pop(),
    'another checkpoint': (h) => (h.to.checkpoint = whole.notes[20]),
    'a forged checkpoint': (h) => (h.to.checkpoint = noteFor(whole, makeSigner(), 31)),
    'begun behind its end': (h) => ([h.from, h.to] = [h.to, h.from]),
    'no frontier': (h) => (h.frontier = []),
    'another frontier': (h) => (h.frontier[0] = zero),
    'a frontier with more': (h) => h.frontier.push(zero),
    'from nothing': (h) => Object.assign(h, { from: null }),
    'from nothing, without frontier': (h) => Object.assign(h, { from: null, frontier: [] }),
    'a field that nobody knows': (h) => Object.assign(h, { notice: 'all is well' }),
    'one that is not there': (h) => delete h.subject,
    'another version': (h) => (h.version = 1),
    'version 2': (h) => (h.version = 2),
    'no end': (h) => delete h.end,
    'an end that is none': (h) => Object.assign(h, { end: '2026-11-24' }),
    'no anchor': (h) => Object.assign(h, { to: null }),
    'a count that is none': (h) => (h.entries = -1),
    'a word that is none': (h) => (h.says = 'maybe'),
  };
  for (const [name, change] of Object.entries(changes)) t.equal(verified(withHeader(change)).verdict, 'bad', name);
  t.match(verified(withHeader((h) => (h.version = 1))).findings[0], {
    text: /of version 1, which does not prove which time it covers: ask for one of version 3/,
  });
  t.match(verified(withHeader((h) => ([h.from, h.to] = [h.to, h.from]))).findings[0], {
    text: /begins behind its end/,
  });
});

test('its two heads enclose its window, whatever checkpoints accompany them', async (t) => {
  const [second, at] = [1_000_000, (position: number): number => whole.heads[position]?.at ?? 0];
  const of = (more: Partial<Wanted>): readonly string[] =>
    sliceLines(whole, signer, { customer: acme, from: 16, to: 30, ...more });
  const inside = of({ begin: at(16) + second, end: at(30) - second });
  t.equal(verified(inside).verdict, 'good');
  t.equal(verified(of({ begin: at(16), end: at(30) })).verdict, 'good', 'to the microsecond');
  t.equal(verified(of({ begin: at(20), end: at(20) })).verdict, 'good', 'a window of no time says nothing');
  const bad: Readonly<Record<string, readonly [lines: readonly string[], text: RegExp]>> = {
    'it begins too late': [
      of({ begin: at(16) - 1 }),
      /it begins with what was sealed behind head 16 of 2026-11-24T18:00:16\.000Z: what came before/,
    ],
    'it is asked for everything': [
      of({ begin: null }),
      /its window is everything up to .* it begins with what was sealed behind head 16/,
    ],
    'it ends too early': [
      of({ end: at(30) + 1 }),
      /it ends with head 30 of 2026-11-24T18:00:30\.000Z: what came behind it is not in it/,
    ],
    'it ends before it begins': [of({ begin: at(30), end: at(20) }), /which ends before it begins/],
  };
  for (const [name, [given, text]] of Object.entries(bad))
    t.match(verified(given), { verdict: 'bad', findings: [{ what: 'slice incomplete', text }] }, name);
  // A slice from before the theft, with an older head of the newest checkpoint in the place of its end: everything in
  // it is genuine.
  const newest = whole.notes[30] ?? '';
  const before = sliceLines(whole, signer, { customer: acme, from: 0, to: 16 });
  const oldHead = anchorOf(whole, newest, 31, 16, acme);
  const spliced = withHeader((h) => Object.assign(h, { to: oldHead }), before);
  t.equal(verified(spliced).verdict, 'good', 'it says up to when it speaks: the time of its head');
  t.match(sliceText(verified(spliced)), /up to head 16 \(sealed 2026-11-24T18:00:16\.000Z\)/);
  t.notMatch(sliceText(verified(spliced)), /18:00:3/, 'and nothing of the checkpoint by which that head is proved');
  const hidden = withHeader((h) => Object.assign(h, { end: at(30) }), spliced);
  t.match(verified(hidden), { verdict: 'bad', findings: [{ what: 'slice incomplete', text: /it ends with head 16/ }] });
  const nothing = withHeader((h) =>
    Object.assign(h, { to: h.from, entries: 0, selected: 0, says: 'not-affected' }),
  ).slice(0, 1);
  t.match(
    verified(nothing),
    { verdict: 'bad', findings: [{ text: /it ends with head 16/ }] },
    'its end is its beginning',
  );
});

test('whoever demands a window is told when a slice was made for another one', async (t) => {
  const at = (position: number): number => whole.heads[position]?.at ?? 0;
  const demanded = (since?: number, until?: number, given = lines): SliceReport => {
    const verification = new SliceVerification(keys, witnessOf(whole.notes), { since, until });
    for (const line of given) verification.line(parseStrictly(line), 'line');
    return verification.finish();
  };
  t.equal(demanded(at(16), at(30)).verdict, 'good');
  t.equal(demanded(at(20)).verdict, 'good');
  t.match(demanded(at(16) - 1).findings, [
    { what: 'slice incomplete', text: /has to begin at 2026-11-24T18:00:15\.999Z or before/ },
  ]);
  t.match(demanded(undefined, at(30) + 1000).findings, [
    { what: 'slice incomplete', text: /has to reach to 2026-11-24T18:00:30\.001Z/ },
  ]);
  const everything = sliceLines(whole, signer, { customer: acme, from: null, to: 30 });
  t.equal(demanded(1, at(30), everything).verdict, 'good', 'from the first entry on is before any time');
});

test('selected entries happened in the window', async (t) => {
  const at = (position: number): number => whole.heads[position]?.at ?? 0;
  const narrow = { customer: acme, from: 16, to: 30, begin: at(20), end: at(25) };
  const inWindow = (row: Row): boolean => row.at >= at(20) && row.at < at(25);
  t.match(verified(sliceLines(whole, signer, { ...narrow, selected: inWindow })), {
    verdict: 'good',
    says: 'affected',
  });
  t.match(verified(sliceLines(whole, signer, { ...narrow, selected: (row) => row.at >= at(20) })).findings[0], {
    text: /its time is not in the window/,
  });
});

test('what nobody signs is printed so that it cannot pass for a sentence of the verifier', async (t) => {
  const subject = `nothing". It is signed by the bank\u2028GOOD \u0007\u009b1m\u202e\u0000 \\ é${'x'.repeat(2000)}`;
  const odd = withHeader((h) => (h.subject = subject));
  const report = verified(odd);
  t.equal(report.verdict, 'good');
  for (const text of [sliceText(report), JSON.stringify(report)]) {
    t.notMatch(text.replaceAll('\n', ''), /[\p{C}\u2028\u2029]/u);
    t.notMatch(text, /x{260}/, 'its length has a bound');
    t.ok(text.length < 4000);
  }
  t.match(sliceText(report), /"nothing\\u\{22\}\. It is signed by the bank\\u\{2028\}GOOD \\u\{7\}/);
  t.match(sliceText(report), /é.*\(cut off here\)/);
  t.equal(
    sliceText(verified(withHeader((h) => (h.subject = 'Zürich, Ωmega')))).includes('"Zürich, Ωmega"'),
    true,
    'the twin',
  );
});

test('its checkpoints in the witness: present, absent, abandoned, contradicting', async (t) => {
  t.match(whats(verified(lines, whole.notes.slice(0, 20))), ['not in this witness']);
  t.match(verified(lines, whole.notes.slice(0, 20)).findings[0]?.text, /newer than all there; bring a newer copy/);
  t.match(
    whats(
      verified(
        lines,
        whole.notes.filter((_, i) => i !== 16),
      ),
    ),
    ['not in this witness'],
    'the first of the two',
  );
  const next = [...whole.notes, noteFor(whole, signer, 20, 2, 60), noteFor(whole, signer, 25, 2, 61)];
  t.match(verified(lines, next).findings[0], { what: 'not in this witness', text: /was abandoned/ });
  t.equal(verified(lines, []).verdict, 'bad', 'an empty witness has none');
  const fork = copyRecord(whole);
  const head = fork.heads[3];
  if (head !== undefined) head.at += 1;
  t.ok(whats(verified(lines, [...whole.notes, noteFor(fork, signer, 31)])).includes('two truths'));
});

test('a checkpoint of a retired key counts up to the end of the key', async (t) => {
  const given = (end: string) => {
    const verification = new SliceVerification([parseVerifierKey(`${signer.verifierKey}${end}`)], undefined);
    for (const line of lines) verification.line(parseStrictly(line), 'line');
    return verification.finish().verdict;
  };
  t.equal(given('@1:31'), 'good');
  t.equal(given('@1:30'), 'bad');
});

test('as a file or a stream, compared with the files of a witness', async (t) => {
  const root = t.testdir();
  mkdirSync(join(root, 'witness'));
  writeFileSync(join(root, 'witness', 'checkpoints-2026-11-24.jsonl'), witnessText(whole.notes));
  writeFileSync(join(root, 'slice.jsonl'), fileText(lines));
  const witnesses = [join(root, 'witness')];
  t.match(await verifySlice({ keys, witnesses, slice: join(root, 'slice.jsonl') }), {
    verdict: 'good',
    checkpoints: 31,
  });
  const chunks = Buffer.from(fileText(lines));
  const pieces = Array.from({ length: 50 }, (_, i) =>
    chunks.subarray(Math.floor((i * chunks.length) / 50), Math.floor(((i + 1) * chunks.length) / 50)),
  );
  t.match(
    await verifySlice({ keys, witnesses, slice: Readable.from(pieces) }),
    { verdict: 'good', entries: 349 },
    'cut anywhere',
  );
  await t.rejects(verifySlice({ keys, witnesses, slice: join(root, 'nothing') }), /ENOENT/);
});
