// Owns: cases by the thousand for two verifiers: small records of every shape that the format allows, and what an owner
// of the database, a holder of files or a faulty writer may do to them. Every case follows from its number alone.
// Must never: know what the verdict has to be, except for records that nobody altered.
import {
  acme,
  addBlocks,
  archive,
  archiveOf,
  bank,
  bodyOf,
  common,
  copyRecord,
  drop,
  dumpLines,
  emptyRecord,
  fileText,
  inTree,
  leafOfRow,
  type MadeRecord,
  makeRow,
  makeSigner,
  noteFor,
  type Row,
  retire,
  rewrite,
  type Sealing,
  seal,
  sha256,
  sliceLines,
  startMs,
  treesOf,
  witnessText,
} from './make-record.ts';

export type Case = {
  readonly name: string;
  /** When nobody altered it. */
  readonly expected: 'good' | 'incomplete' | undefined;
  readonly keys: readonly string[];
  /** Files of one witness each; undefined (slices only) when none is given. */
  readonly witness: readonly string[] | undefined;
  readonly dump?: string;
  readonly archives?: Readonly<Record<string, Buffer>>;
  readonly slice?: string;
};

export type Chance = {
  /** From 0 to less than `below`. */
  readonly int: (below: number) => number;
  readonly is: (share: number) => boolean;
  readonly pick: <T>(from: readonly T[]) => T;
};

/** The same numbers for the same seed, everywhere (mulberry32). */
export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (below: number): number => Math.floor(next() * below);
  return {
    int,
    is: (share) => next() < share,
    pick: (from) => {
      const one = from[int(from.length)];
      if (one === undefined) throw new Error('nothing to pick from');
      return one;
    },
  };
}

const trees = [common, acme, bank, 'cccccccc-0000-4000-8000-000000000003', '0f0f0f0f-1111-4111-8111-0f0f0f0f0f0f'];
const signer = makeSigner();
const thief = makeSigner();

/** What a faulty or bribed writer seals, and signs. */
const faults: readonly ((chance: Chance) => Sealing)[] = [
  () => ({ edit: (row) => (row.customer = row.tree === acme ? bank : acme) }),
  () => ({ edit: (row) => (row.number += 1) }),
  () => ({ edit: (row) => (row.number = 1) }),
  () => ({ edit: (row, i) => (row.number += i === 0 ? 1 : i === 1 ? -1 : 0) }),
  () => ({ epoch: true, lines: (text) => text.replace(/^.*\n/, '') }),
  () => ({ lines: (text) => text.replace(/ (\d+) /, ' 1 ') }),
  () => ({ lines: (text) => text + text }),
  () => ({ epoch: true, lines: (text) => text.replace(/ \S{44}\n/, ` ${Buffer.alloc(32).toString('base64')}\n`) }),
];

type Base = { readonly record: MadeRecord; readonly given: MadeRecord['archives']; readonly isComplete: boolean };

function grown(chance: Chance): Record<string, number> {
  const result: Record<string, number> = {};
  for (const tree of trees)
    if (chance.is(0.5)) result[tree] = chance.is(0.02) ? 250 + chance.int(300) : 1 + chance.int(4);
  return Object.keys(result).length === 0 ? { [acme]: 1 } : result;
}

/** A statement stays in the database, whatever its month is. */
const leaves = (row: Row): boolean => row.kind !== 'ledger.archived';

const monthOf = (index: number): string => `2026-0${index + 1}`;

/**
 * A record of a few rounds, perhaps with months in archives, some of them not given; `fault`: what is sealed wrongly,
 * once.
 */
function makeBase(chance: Chance, fault: Sealing | undefined): Base {
  const record = emptyRecord();
  // What is sealed then can be of January, February and March; each statement waits until its month has been over for a
  // month.
  record.clockMs = Date.UTC(2026, 1, 10);
  const rounds = 1 + chance.int(7);
  const faulty = chance.int(rounds);
  const moved: (readonly Row[])[] = [];
  for (let i = 0; i < rounds; i += 1) {
    const sealing = i === faulty && fault !== undefined ? fault : {};
    seal(record, grown(chance), { epoch: chance.is(0.25), ...sealing });
    const isOld = (row: Row): boolean => !moved.some((rows) => rows.includes(row));
    if (!chance.is(0.25) || moved.length > 2) continue;
    const share = chance.pick([1, 0.9, 0.5]);
    const rows = record.rows.filter((row) => isOld(row) && chance.is(share));
    if (rows.length === 0) continue;
    record.clockMs = Date.UTC(2026, moved.length + 2, 2);
    archive(record, { month: monthOf(moved.length), rows });
    moved.push(rows);
  }
  const later = chance.int(3);
  for (let i = 0; i < later; i += 1) seal(record, grown(chance));
  let isComplete = true;
  const given = record.archives.filter(() => chance.is(0.7));
  const gone = moved.filter(() => chance.is(0.8));
  for (const [i, rows] of moved.entries())
    if (
      gone.includes(rows) &&
      rows.some(leaves) &&
      !given.includes(record.archives[i] ?? { file: '', bytes: Buffer.alloc(0) })
    ) {
      isComplete = false;
      if (chance.is(0.3)) retire(record, monthOf(i));
    }
  addBlocks(record);
  drop(record, gone.flat().filter(leaves));
  sign(record, chance);
  return { record, given, isComplete };
}

/** Notes for some sizes, the last one always; perhaps a new era. */
function sign(record: MadeRecord, chance: Chance): void {
  const size = record.heads.length;
  const turn = chance.is(0.2) ? chance.int(size + 1) : size + 1;
  for (let at = chance.is(0.2) ? 0 : 1; at <= size; at += 1) {
    if (at === turn) record.notes.push(noteFor(record, signer, at, 1), noteFor(record, signer, at, 2, at + 1));
    else if (at === size || chance.is(0.4))
      record.notes.push(noteFor(record, signer, at, at > turn ? 2 : 1, at > turn ? at + 1 : at));
  }
}

// ---- What is done to a record

type Files = { lines: string[]; witness: string[]; archives: Record<string, Buffer>; keys: string[] };
type Deed = (files: Files, base: Base, chance: Chance) => void;

const indexOf = (files: Files, chance: Chance, kind: string): number => {
  const found = files.lines.flatMap((line, i) => (line.startsWith(`{"${kind}"`) ? [i] : []));
  return found.length === 0 ? -1 : chance.pick(found);
};
const replace = (files: Files, index: number, line: (before: string) => string): void => {
  const before = files.lines[index];
  if (before !== undefined) files.lines[index] = line(before);
};

/** Replaces one letter, digit or sign by another. */
function mutated(text: string, chance: Chance): string {
  const at = chance.int(text.length);
  const letter = chance.pick([...'0123456789abcdef"\\,:[]{} \u0000\u00e9']);
  const kind = chance.int(3);
  return text.slice(0, at) + (kind === 1 ? '' : letter) + text.slice(kind === 2 ? at : at + 1);
}

/** Of the rows that are in the dump. */
function editRow(files: Files, base: Base, chance: Chance, edit: (row: Row) => void, isHashedAnew: boolean): void {
  const record = copyRecord(base.record);
  if (record.rows.length === 0) return;
  const row = chance.pick(record.rows);
  edit(row);
  if (isHashedAnew) row.leaf = leafOfRow(row);
  files.lines = [...dumpLines(record)];
}

const edits: readonly ((row: Row, chance: Chance) => void)[] = [
  (row) => (row.kind = 'forged'),
  (row) => (row.bytes = 7),
  (row) => (row.customer = row.customer === null ? acme : null),
  (row, chance) => (row.number += chance.int(3) - 1),
  (row) => (row.sensitiveText = '{}'),
  (row) => (row.at += 1),
  (row) => (row.salt = Buffer.alloc(32)),
];

const deeds: Readonly<Record<string, Deed>> = {
  'a row edited': (files, base, chance) =>
    editRow(files, base, chance, (row) => chance.pick(edits)(row, chance), false),
  'a row edited with its leaf': (files, base, chance) =>
    editRow(files, base, chance, (row) => chance.pick(edits)(row, chance), true),
  'a line deleted': (files, _, chance) => void files.lines.splice(chance.int(files.lines.length), 1),
  'a row deleted': (files, _, chance) => void files.lines.splice(indexOf(files, chance, 'entry'), 1),
  'rows deleted behind blocks and leaves': (files, base, chance) => {
    const record = copyRecord(base.record);
    const tree = chance.pick(treesOf(record).length === 0 ? [acme] : treesOf(record));
    const rows = inTree(record, tree);
    const from = chance.int(rows.length + 1);
    drop(record, rows.slice(from, from + 1 + chance.int(rows.length + 1)));
    files.lines = [...dumpLines(record)];
  },
  'a line twice': (files, _, chance) => {
    const at = chance.int(files.lines.length);
    files.lines.splice(at, 0, files.lines[at] ?? '');
  },
  'two lines exchanged': (files, _, chance) => {
    const [a, b] = [chance.int(files.lines.length), chance.int(files.lines.length)];
    files.lines = files.lines.with(a, files.lines[b] ?? '').with(b, files.lines[a] ?? '');
  },
  'a letter of the dump': (files, _, chance) =>
    replace(files, chance.int(files.lines.length), (line) => mutated(line, chance)),
  'a letter of a block or leaf': (files, _, chance) =>
    replace(files, indexOf(files, chance, chance.pick(['block', 'leaf'])), (line) => mutated(line, chance)),
  'a block or leaf deleted': (files, _, chance) => {
    const at = indexOf(files, chance, chance.pick(['block', 'leaf']));
    if (at !== -1) files.lines.splice(at, 1);
  },
  'a head edited': (files, _, chance) =>
    replace(files, indexOf(files, chance, 'head'), (line) => {
      const { head } = JSON.parse(line) as { head: (string | number)[] };
      const at = chance.int(5);
      if (at === 3) head[3] = Buffer.alloc(32, chance.int(4)).toString('base64');
      else if (at === 4) head[4] = String(head[4]).replace(/ (\d+) /, (_all, size: string) => ` ${Number(size) + 1} `);
      else head[at] = Number(head[at]) + 1;
      return JSON.stringify({ head });
    }),
  'everything rewritten': (files, base) => {
    const record = copyRecord(base.record);
    const [row] = record.rows;
    if (row !== undefined) row.kind = 'forged';
    rewrite(record);
    files.lines = [...dumpLines(record)];
  },
  'a key twice': (files, _, chance) =>
    replace(files, chance.int(files.lines.length), (line) =>
      line.replace(/^\{"(\w+)":/, (all, kind: string) => `${all}[],"${kind}":`),
    ),
  'another spelling of a number': (files, _, chance) =>
    replace(files, chance.int(files.lines.length), (line) =>
      line.replace(/,(\d+),/, chance.pick([',$1.0,', ',$1e0,', ',0$1,', ',"$1",'])),
    ),
  blanks: (files, _, chance) =>
    replace(files, chance.int(files.lines.length), (line) => line.replaceAll('":[', '" : [ ')),
  'entries that nobody witnessed': (files, base, chance) => {
    const record = copyRecord(base.record);
    const number = (record.heads.at(-1)?.number ?? 0) + 1;
    record.rows.push(makeRow(chance.pick(trees), 900, number));
    files.lines = [...dumpLines(record)];
  },
  'a statement that nobody witnessed': (files, base, chance) => {
    const record = copyRecord(base.record);
    const rows = record.rows.filter(() => chance.is(0.3));
    if (rows.length === 0) return;
    // Sealed as it should be, but by somebody without the key. Positions can be counted only where the whole tree is
    // still there.
    if (base.given.length + base.record.leaves.length > 0 || !base.isComplete) return;
    record.clockMs = startMs;
    archive(record, { month: '2026-03', rows });
    addBlocks(record);
    if (chance.is(0.7)) drop(record, rows);
    files.lines = [...dumpLines(record)];
  },
  'the end cut off': (files, _, chance) => void files.lines.splice(chance.int(files.lines.length)),
  'a time far from its seal': (files, base, chance) => {
    const record = copyRecord(base.record);
    const row = chance.pick(record.rows);
    row.at += chance.pick([-40, 90]) * 86_400_000_000;
    rewrite(record);
    record.notes = record.heads.map((_, i) => noteFor(record, signer, i + 1));
    files.lines = [...dumpLines(record)];
    files.witness = [...record.notes];
  },
  'a head that goes back in time': (files, base, chance) => {
    const record = copyRecord(base.record);
    const head = chance.pick(record.heads);
    head.at -= chance.pick([1, 1_000_000, 1_000_001, 5_000_000]);
    record.notes = record.heads.map((_, i) => noteFor(record, signer, i + 1));
    files.lines = [...dumpLines(record)];
    files.witness = [...record.notes];
  },
  'a torn last line': (files) => replace(files, files.lines.length - 1, (line) => line.slice(0, -9)),

  'a note deleted': (files, _, chance) => void files.witness.splice(chance.int(files.witness.length), 1),
  'the last note deleted': (files) => void files.witness.pop(),
  'a letter of a note': (files, _, chance) => {
    const at = chance.int(files.witness.length);
    files.witness[at] = mutated(files.witness[at] ?? '', chance);
  },
  'a note of a thief': (files, base, chance) =>
    void files.witness.push(noteFor(base.record, thief, chance.int(base.record.heads.length + 1), 1, 99)),
  'two truths': (files, base, chance) => {
    const size = chance.int(base.record.heads.length + 1);
    files.witness.push(signer.sign(bodyOf(signer.name, size, Buffer.alloc(32, 9), 1, Date.UTC(2026, 10, 24, 18, 9))));
  },
  'a step back': (files, base, chance) =>
    void files.witness.push(noteFor(base.record, signer, chance.int(base.record.heads.length + 1), 1, chance.int(99))),
  'another era': (files, base, chance) =>
    void files.witness.push(
      noteFor(base.record, signer, chance.int(base.record.heads.length + 1), 1 + chance.int(4), 99),
    ),
  'notes in another order': (files, _, chance) => void files.witness.sort(() => chance.int(3) - 1),
  'a retired key': (files, _, chance) => {
    files.keys = [`${signer.verifierKey}@${1 + chance.int(2)}:${chance.int(9)}`];
  },
  'another key beside it': (files) => void files.keys.push(thief.verifierKey),

  'an archive that is not given': (files, _, chance) => {
    const name = chance.pick([...Object.keys(files.archives), 'none']);
    delete files.archives[name];
  },
  'a byte of an archive': (files, _, chance) => {
    const name = chance.pick([...Object.keys(files.archives), 'none']);
    const bytes = files.archives[name];
    if (bytes === undefined) return;
    const other = Buffer.from(bytes);
    const at = chance.int(other.length);
    other[at] = (other[at] ?? 0) ^ (1 << chance.int(8));
    files.archives[name] = other;
  },
  'an archive under another name': (files, _, chance) => {
    const name = chance.pick([...Object.keys(files.archives), 'none']);
    const bytes = files.archives[name];
    if (bytes === undefined) return;
    if (chance.is(0.5)) delete files.archives[name];
    files.archives[chance.pick(['ledger-2025-01.jsonl.gz', 'ledger-2027-01.jsonl.gz', 'other.gz'])] = bytes;
  },
  'an archive that nobody stated': (files, base, chance) => {
    const rows = base.record.rows.filter(() => chance.is(0.3));
    const made = archiveOf('ledger-2025-01.jsonl.gz', rows);
    files.archives[made.file] = made.bytes;
    if (!chance.is(0.5) || base.record.leaves.length > 0) return;
    const record = copyRecord(base.record);
    drop(record, rows);
    files.lines = [...dumpLines(record)];
  },
};

/**
 * Entries of November, and a statement about January beside them, of a file that is there or of one that is not, which
 * says that they are in it. Returns those of its tree that are the thief's.
 */
function plantStatement(record: MadeRecord, chance: Chance, isThere: boolean): readonly Row[] {
  const tree = chance.pick(trees);
  seal(record, { [tree]: 3 });
  const stolen = inTree(record, tree).slice(-3);
  const made = isThere ? record.archives[0] : undefined;
  const edit = (row: Row): void => {
    row.kind = 'ledger.archived';
    row.publicText = JSON.stringify({ month: '2026-01', first: row.position - 3, last: row.position - 1, entries: 3 });
    const digest = made === undefined ? 'ab'.repeat(32) : sha256(made.bytes).toString('hex');
    row.sensitiveText = JSON.stringify({ file: 'ledger-2026-01.jsonl.gz', sha256: digest, total: 9 });
  };
  seal(record, { [tree]: 1 }, { edit });
  return chance.is(0.8) ? stolen : [];
}

/** An entry that takes the place of a statement about the month of a file; false, and signed. */
function withFalseStatement(chance: Chance): Base {
  const record = emptyRecord();
  record.clockMs = Date.UTC(2026, 1, 10);
  seal(record, grown(chance));
  seal(record, grown(chance));
  record.clockMs = startMs;
  const rows = record.rows.filter(() => chance.is(0.6));
  const kind = chance.int(11);
  if (rows.length > 0)
    archive(record, { month: '2026-01', rows }, (shown, hidden) => {
      const by = chance.int(3) - 1;
      if (kind === 0) shown.first = Number(shown.first) + by;
      if (kind === 1) shown.last = Number(shown.last) + by;
      if (kind === 2) shown.entries = Number(shown.entries) + by;
      if (kind === 3) hidden.total = Number(hidden.total) + by;
      if (kind === 4) hidden.sha256 = '0'.repeat(64);
      if (kind === 5) delete shown[chance.pick(['month', 'first', 'last', 'entries'])];
      if (kind === 6) hidden.file = chance.pick(['', 7, null, 'ledger-2025-01.jsonl.gz']);
      if (kind === 7) shown.more = 'another field';
      if (kind === 8) shown.month = chance.pick(['2026-10', '2026-11', '2026-12', '2027-01']);
    });
  const planted = kind > 8 ? plantStatement(record, chance, kind === 9) : [];
  addBlocks(record);
  if (chance.is(0.8)) drop(record, rows);
  if (planted.length > 0) drop(record, planted);
  record.notes.push(noteFor(record, signer, record.heads.length));
  return { record, given: chance.is(0.6) ? record.archives : [], isComplete: false };
}

const filesOf = ({ record, given }: Base): Files => ({
  lines: [...dumpLines(record)],
  witness: [...record.notes],
  archives: Object.fromEntries(given.map(({ file, bytes }) => [file, bytes])),
  keys: [signer.verifierKey],
});

const caseOf = (name: string, { lines, witness, archives, keys }: Files, expected: Case['expected']): Case => ({
  name,
  expected,
  keys,
  witness: [witnessText(witness)],
  dump: fileText(lines),
  archives,
});

// ---- Slices

const sliceDeeds: Readonly<Record<string, (lines: string[], chance: Chance) => void>> = {
  'a line deleted': (lines, chance) => void lines.splice(chance.int(lines.length), 1),
  'a line twice': (lines, chance) => void lines.splice(chance.int(lines.length), 0, chance.pick(lines)),
  'a letter': (lines, chance) => {
    const at = chance.int(lines.length);
    lines[at] = mutated(lines[at] ?? '', chance);
  },
  'the end cut off': (lines, chance) => void lines.splice(1 + chance.int(lines.length)),
  'its first line': (lines, chance) => {
    lines[0] = (lines[0] ?? '').replace(/":(\d+)/g, (all, digits: string) =>
      chance.is(0.1) ? `":${Number(digits) + 1}` : all,
    );
  },
  'a base64': (lines, chance) => {
    lines[0] = (lines[0] ?? '').replace(/[\w+/]{43}=/g, (all) =>
      chance.is(0.05) ? Buffer.alloc(32, chance.int(9)).toString('base64') : all,
    );
  },
  'other marks': (lines, chance) => {
    const at = chance.int(lines.length);
    lines[at] = (lines[at] ?? '').replace(/"selected":(true|false)/, (all) =>
      all.endsWith('true') ? '"selected":false' : '"selected":true',
    );
  },
};

/**
 * Notes of an era that ended at some head, and what it had beyond is lost; the record's own notes are then of the next.
 */
function loseAnEra(record: MadeRecord, chance: Chance): readonly string[] {
  const size = 1 + chance.int(record.heads.length);
  const seconds = size + chance.pick([0, 100]);
  const lost = bodyOf(signer.name, size + 2, Buffer.alloc(32, 9), 1, startMs + seconds * 1000);
  const before = record.notes.slice(0, size);
  for (let i = size - 1; i < record.heads.length; i += 1)
    record.notes[i] = noteFor(record, signer, i + 1, 2, i + 1 + chance.pick([0, 200]));
  return [...before, signer.sign(lost), ...record.notes.slice(size - 1)];
}

function sliceCase(name: string, chance: Chance, isTouched: boolean): Case {
  const record = emptyRecord();
  const rounds = 2 + chance.int(5);
  for (let i = 0; i < rounds; i += 1)
    seal(record, { ...grown(chance), [acme]: 1 + chance.int(5) }, { epoch: chance.is(0.6) });
  seal(record, chance.is(0.7) ? grown(chance) : {}, { epoch: true });
  record.notes.push(...record.heads.map((_, i) => noteFor(record, signer, i + 1)));
  const epochs = record.heads
    .filter((head, i) => i === 0 || record.heads[i - 1]?.secret.equals(head.secret) !== true)
    .map(({ position }) => position);
  const isLost = chance.is(0.3);
  let notes: readonly string[] = isLost ? loseAnEra(record, chance) : record.notes;
  const from = chance.is(0.3) ? null : chance.pick(epochs);
  const share = chance.pick([0, 0.3]);
  const lines = [
    ...sliceLines(record, signer, { customer: acme, from, to: record.heads.length - 1, selected: () => share > 0 }),
  ];
  const deed = chance.pick(Object.keys(sliceDeeds));
  if (isTouched) sliceDeeds[deed]?.(lines, chance);
  if (isTouched && chance.is(0.2)) notes = notes.filter(() => chance.is(0.7));
  const slice = {
    keys: [signer.verifierKey],
    witness: chance.is(0.7) ? [witnessText(notes)] : undefined,
    slice: fileText(lines),
  };
  return {
    name: isTouched ? `${name}, slice, ${deed}` : `${name}, slice`,
    expected: isTouched || isLost ? undefined : 'good',
    ...slice,
  };
}

/** How many cases one record gives. */
const casesPerRecord = 20;

/** The cases of the record of this number: itself, and what was done to it; a slice, and what was done to it. */
export function* casesOf(number: number): Generator<Case, void> {
  const chance = chanceOf(number * 7919 + 1);
  const name = `record ${number}`;
  const base = makeBase(chance, undefined);
  yield caseOf(name, filesOf(base), base.isComplete ? 'good' : 'incomplete');
  yield sliceCase(name, chance, false);
  yield sliceCase(name, chance, true);
  yield sliceCase(name, chance, true);
  const fault = chance.int(faults.length);
  yield caseOf(`${name}, fault ${fault}`, filesOf(makeBase(chance, faults[fault]?.(chance))), undefined);
  yield caseOf(`${name}, a false statement`, filesOf(withFalseStatement(chance)), undefined);
  const names = Object.keys(deeds);
  for (let i = 6; i < casesPerRecord; i += 1) {
    const files = filesOf(base);
    const done = chance.is(0.8) ? [chance.pick(names)] : [chance.pick(names), chance.pick(names)];
    for (const deed of done) deeds[deed]?.(files, base, chance);
    yield caseOf(`${name}, ${done.join(', ')}`, files, undefined);
  }
}
