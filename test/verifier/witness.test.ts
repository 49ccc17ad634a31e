// The witness: what its lines must be, how old they may be, eras and what they lost.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Test, test } from 'tap';
import { bounded } from '../../server/domain/bounded.ts';
import {
  parseNote,
  parseVerifierKey,
  type Report,
  recordText,
  Verification,
  type VerifierKey,
  verifyNote,
  verifyRecord,
  Witness,
} from '../../verifier/index.js';
import {
  acme,
  bank,
  common,
  copyRecord,
  dumpLines,
  fileText,
  inTree,
  makeRecord,
  makeSigner,
  noteFor,
  seal,
  startMs,
  witnessText,
} from './make-record.ts';

const signer = makeSigner();
const keys = [parseVerifierKey(signer.verifierKey)];
const whole = makeRecord(signer);
const now = startMs + 60_000;
type Files = Readonly<Record<string, string | Buffer>>;

function write(directory: string, files: Files): string {
  mkdirSync(directory, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  return directory;
}

const day = 'checkpoints-2026-11-24.jsonl';
let serial = 0;

/** Verifies a record against witness directories of these files. */
async function against(
  t: Test,
  witnesses: readonly Files[],
  record = whole,
  maxAgeSeconds = 600,
  clock = now,
): Promise<Report> {
  serial += 1;
  const root = join(t.testdir(), String(serial));
  const directories = witnesses.map((files, i) => write(join(root, `witness-${i}`), files));
  const dump = join(root, 'dump.jsonl');
  writeFileSync(dump, fileText(dumpLines(record)));
  return await verifyRecord({ keys, witnesses: directories, maxAgeSeconds, dump, now: clock });
}
const whats = (report: Report): readonly string[] => report.findings.map(({ what }) => what);

test('a good witness: one file, several days, compressed, several witnesses, signed again', async (t) => {
  const { notes } = whole;
  const again = [...notes, noteFor(whole, signer, 30, 1, 50)];
  const good: Readonly<Record<string, readonly Files[]>> = {
    'one file': [{ [day]: witnessText(notes) }],
    'signed again': [{ [day]: witnessText(again) }],
    'two days': [
      { [day]: witnessText(notes.slice(0, 12)), 'checkpoints-2026-11-25.jsonl': witnessText(notes.slice(12)) },
    ],
    compressed: [
      {
        [`${day}.gz`]: gzipSync(witnessText(notes.slice(0, 12))),
        'checkpoints-2026-11-25.jsonl': witnessText(notes.slice(12)),
      },
    ],
    'compressed and not yet removed': [{ [`${day}.gz`]: gzipSync(witnessText(notes)), [day]: witnessText(notes) }],
    'two witnesses, one behind': [{ [day]: witnessText(notes.slice(0, 7)) }, { [day]: witnessText(again) }],
    'two witnesses with different holes': [
      { [day]: witnessText(notes.filter((_, i) => i % 2 === 0)) },
      { [day]: witnessText(notes.filter((_, i) => i % 2 === 1)) },
    ],
    'a few of them': [{ [day]: witnessText([notes[3] ?? '', notes[29] ?? '']) }],
    'other files beside it': [{ [day]: witnessText(notes), 'README.txt': 'not a checkpoint' }],
    'an empty file of a new day': [{ [day]: witnessText(notes), 'checkpoints-2026-11-25.jsonl': '' }],
  };
  for (const [name, witnesses] of Object.entries(good)) {
    const report = await against(t, witnesses);
    t.same(report.findings, [], name);
    t.match(report, { ok: true, newest: { size: 30, era: 1 }, unwitnessed: { heads: 0 } }, name);
  }
});

test('a last line that was cut off does not count; one in the middle is a fault', async (t) => {
  const text = witnessText(whole.notes);
  const torn = await against(t, [{ [day]: text + JSON.stringify(noteFor(whole, signer, 30)).slice(0, 60) }]);
  t.same(torn.findings, []);
  t.equal(torn.checkpoints, 30);
  // The whole last line without its newline: nobody knows whether it is whole.
  const unended = await against(t, [{ [day]: text.trimEnd() }]);
  t.same(unended.findings, []);
  t.match(unended, { checkpoints: 29, unwitnessed: { heads: 1 } });
  const lines = text.split('\n');
  const middle = await against(t, [{ [day]: lines.with(4, (lines[4] ?? '').slice(0, 60)).join('\n') }]);
  t.match(middle, { found: 1, findings: [{ what: 'note malformed', text: /checkpoints-2026-11-24\.jsonl line 5/ }] });
  const cut = await against(t, [{ [`${day}.gz`]: gzipSync(text).subarray(0, 900) }]);
  t.ok(whats(cut).includes('unreadable'), 'a compressed file that breaks off');
});

test('a witness whose newest checkpoint is too old is a finding', async (t) => {
  const files = [{ [day]: witnessText(whole.notes) }];
  const old = await against(t, files, whole, 600, startMs + 30_000 + 601_000);
  t.match(old, { found: 1, findings: [{ what: 'old', text: /^the newest checkpoint of the witness is 10 min old/ }] });
  t.ok((await against(t, files, whole, 600, startMs + 30_000 + 600_000)).ok, 'ten minutes will do');
  const anyAge = await against(t, files, whole, 0, startMs + 400 * 86_400_000);
  t.ok(anyAge.ok);
  t.match(recordText(anyAge, 0), /its age was not checked/);
  const future = await against(t, files, whole, 600, startMs - 86_400_000);
  t.same(whats(future), ['from the future']);
  for (const files of [{}, { [day]: '' }]) {
    const nothing = await against(t, [files]);
    t.match(
      nothing,
      { verdict: 'incomplete', ok: false, found: 0, newest: null, notRead: [/holds no checkpoint/] },
      'no checkpoint',
    );
    t.match(recordText(nothing, 600), /NOT READ: .*\nNOT COMPLETE/);
  }
  await t.rejects(
    verifyRecord({ keys, witnesses: ['/nowhere/at/all'], maxAgeSeconds: 0, dump: '/dev/null', now }),
    /ENOENT/,
  );
});

test('notes that are forged or malformed are findings', async (t) => {
  const thief = makeSigner();
  const stranger = makeSigner('cofferdam/99999999-2222-4333-8444-555555555555');
  const note = whole.notes[9] ?? '';
  const [, root = ''] = /\n10\n(\S+)\n/.exec(note) ?? [];
  const bad: Readonly<Record<string, readonly [string, string]>> = {
    'by another key of the same name': ['note forged', noteFor(whole, thief, 10)],
    'of another installation': ['note forged', noteFor(whole, stranger, 10)],
    'another size': ['note forged', note.replace('\n10\n', '\n11\n')],
    'another root': ['note forged', note.replace(root, Buffer.alloc(32).toString('base64'))],
    'another era': ['note forged', note.replace('era 1', 'era 2')],
    'another time': ['note forged', note.replace('18:00:10', '18:00:11')],
    'a signature cut short': [
      'note forged',
      note.replace(
        /(\u2014 \S+ )(\S+)\n$/,
        (_, who, s) => `${who}${Buffer.from(s, 'base64').subarray(0, 60).toString('base64')}\n`,
      ),
    ],
    'no signature': ['note malformed', note.slice(0, note.indexOf('\n\n') + 2)],
    'a line more': ['note malformed', note.replace('era 1\n', 'era 1\nmore\n')],
    'a size with a zero in front': ['note malformed', note.replace('\n10\n', '\n010\n')],
    'a day that is none': ['note malformed', note.replace('2026-11-24', '2026-02-30')],
    'something behind it': ['note malformed', `${note}x`],
    nothing: ['note malformed', ''],
  };
  for (const [name, [what, text]] of Object.entries(bad)) {
    t.not(text, note, name);
    const report = await against(t, [{ [day]: witnessText(whole.notes.with(9, text)) }]);
    t.same(whats(report), [what], name);
    t.match(report.findings[0]?.text, /line 10/, name);
  }
  const number = await against(t, [{ [day]: `${witnessText(whole.notes)}{"note":1}\n` }]);
  t.same(whats(number), ['note malformed'], 'a line that is no text');
});

test('keys rotate: each note needs one of the given keys, and lines of unknown keys do not count', async (t) => {
  const next = makeSigner(signer.name);
  const both = [...keys, parseVerifierKey(next.verifierKey)];
  const [older, newer] = [noteFor(whole, signer, 10), noteFor(whole, next, 10)];
  t.equal(verifyNote(parseNote(newer), both), undefined);
  t.match(verifyNote(parseNote(newer), keys), /no given key has signed it/);
  const line = newer.slice(newer.lastIndexOf('\u2014'));
  t.equal(verifyNote(parseNote(older + line), keys), undefined, 'signed by both, one of them known');
  const broken = line.replace(/(\u2014 \S+ \S{8})..../, '$1AAAA');
  t.not(broken, line);
  t.match(
    verifyNote(parseNote(older + broken), both),
    /the signature of key [0-9a-f]{8} is false/,
    'a false line of a known key is no good',
  );
  for (const text of [
    '',
    'x',
    signer.verifierKey.replace(/\+[0-9a-f]{8}\+/, '+00000000+'),
    `${signer.verifierKey}A`,
    signer.verifierKey.replace(/\+A/, '+B'),
  ])
    t.throws(() => parseVerifierKey(text), /verifier key/, text);
});

test('contradicting notes, a size that shrinks and an era that goes back are findings', async (t) => {
  const other = copyRecord(whole);
  const head = other.heads[9];
  if (head !== undefined) head.at += 1;
  const forked = noteFor(other, signer, 10);
  const truths = await against(t, [{ [day]: witnessText(whole.notes) }, { [day]: witnessText([forked]) }]);
  t.match(truths.findings[0], { what: 'two truths', from: 10, to: 10 });
  const { notes } = whole;
  const late = await against(t, [
    { [day]: witnessText([...notes.slice(0, 12), notes[5] ?? '', ...notes.slice(12), notes[20] ?? '']) },
  ]);
  t.match(
    late,
    { found: 0, checkpoints: 32 },
    'twin: of two wardens one was slower: signed earlier, handed over later',
  );
  const signedAgain = noteFor(whole, signer, 6, 1, 12.5);
  const shrunk = await against(t, [{ [day]: witnessText([...notes.slice(0, 12), signedAgain, ...notes.slice(12)]) }]);
  t.match(shrunk, { found: 1, findings: [{ what: 'shrunk', from: 12, to: 6, text: /line 13/ }] });
  const nextDay = await against(t, [
    { [day]: witnessText(notes), 'checkpoints-2026-11-25.jsonl': witnessText([noteFor(whole, signer, 6, 1, 31)]) },
  ]);
  t.match(nextDay, { found: 1, findings: [{ what: 'shrunk', from: 30, to: 6 }] }, 'from one day to the next');
  const eras = [
    ...notes.slice(0, 20),
    noteFor(whole, signer, 20, 2, 21),
    noteFor(whole, signer, 21, 1, 22),
    noteFor(whole, signer, 30, 2, 31),
  ];
  const back = await against(t, [{ [day]: witnessText(eras) }]);
  t.match(back, { found: 1, findings: [{ what: 'era', from: 2, to: 1 }] });
});

test('an abandoned era is reported prominently and is no fault; what it had is not required', async (t) => {
  // 30 heads were witnessed; the database came back with 22 and continued in another way.
  const record = copyRecord(whole);
  record.blocks = [];
  record.heads = record.heads.slice(0, 22);
  const kept = record.heads[21]?.number ?? 0;
  record.rows = record.rows.filter((row) => row.number <= kept);
  const second = [noteFor(record, signer, 22, 2, 40)];
  for (let i = 0; i < 3; i += 1) {
    seal(record, { [common]: 2, [bank]: 1 });
    second.push(noteFor(record, signer, 23 + i, 2, 41 + i));
  }
  const files = [{ [day]: witnessText([...whole.notes, ...second]) }];
  const report = await against(t, files, record);
  t.same(report.findings, []);
  t.match(report, { ok: true, abandoned: 8, newest: { size: 25, era: 2 } });
  t.same(report.lost, [
    {
      era: 1,
      nextEra: 2,
      fromSize: 22,
      toSize: 30,
      kept: startMs + 22_000,
      since: startMs + 23_000,
      until: startMs + 30_000,
    },
  ]);
  t.match(
    recordText(report, 600),
    /LOST: era 1 had sealed up to size 30, era 2 went on from size 22: its checkpoints beyond, .* What they covered is lost/,
  );

  t.match(
    (await against(t, files, whole)).findings[0],
    { what: 'head changed', head: 22 },
    'the abandoned record is not the record any more',
  );
  const tampered = copyRecord(record);
  const row = inTree(tampered, acme)[3];
  if (row !== undefined) row.kind = 'forged';
  t.match(
    await against(t, files, tampered),
    { found: 1, findings: [{ what: 'changed', tree: acme, position: 3 }] },
    'what was kept is still held',
  );
  const without = [{ [day]: witnessText([...whole.notes, ...second.slice(1)]) }];
  t.match(
    (await against(t, without, record)).findings[0],
    { what: 'head changed', head: 22 },
    'without the first checkpoint of the era it stays a fault',
  );

  const third = noteFor(record, signer, 24, 3, 60);
  const again = copyRecord(record);
  again.heads = again.heads.slice(0, 24);
  again.rows = again.rows.filter((one) => one.number <= (again.heads[23]?.number ?? 0));
  const twice = await against(t, [{ [day]: witnessText([...whole.notes, ...second, third]) }], again);
  t.same(twice.findings, []);
  t.match(twice, {
    abandoned: 9,
    lost: [
      { era: 1, fromSize: 22, toSize: 30 },
      { era: 2, fromSize: 24, toSize: 25 },
    ],
  });
});

test('a checkpoint counts up to the very size at which the next era continues, and was abandoned beyond it', (t) => {
  const second = [22, 23].map((size, i) => noteFor(whole, signer, size, 2, 40 + i));
  const witness = new Witness(keys);
  [...whole.notes, ...second].reduce<ReturnType<typeof witness.add>>(
    (before, note) => witness.add(note, 'x', before),
    undefined,
  );
  witness.close();
  for (const note of whole.notes) {
    const { size } = parseNote(note);
    t.equal(witness.has(parseNote(note)), size <= 22 ? 'yes' : 'abandoned', `size ${size}`);
  }
  for (const note of second) t.equal(witness.has(parseNote(note)), 'yes', 'the era that goes on');
  t.equal(witness.has(parseNote(noteFor(whole, signer, 24, 2, 50))), 'no', 'a checkpoint that nobody witnessed');
  t.equal(witness.has(parseNote(noteFor(whole, signer, 22, 3, 50))), 'no', 'nor was it in another era');
  const accepted = [...witness.accepted()].map(({ era, size }) => `${era}/${size}`);
  t.same(
    accepted.filter((one) => /^1\/2[0-9]$/.test(one) || one.startsWith('2/')),
    ['1/20', '1/21', '1/22', '2/22', '2/23'],
  );
  t.end();
});

test('the newest checkpoint is the largest of the last era, in whatever file and line it is', async (t) => {
  const { notes } = whole;
  const again = noteFor(whole, signer, 20, 1, 40);
  const files = {
    'checkpoints-2026-11-20.jsonl': witnessText(notes.slice(20)),
    [day]: witnessText(notes.slice(0, 20)),
  };
  const report = await against(t, [files]);
  t.match(report.newest, { size: 30, time: '2026-11-24T18:00:30.000Z' }, 'in a file of an earlier name');
  const late = await against(t, [{ [day]: witnessText(notes) }, { [day]: witnessText([again]) }]);
  t.match(late, { ok: true, newest: { size: 30 } }, 'a smaller one that was signed again later is not newer');
});

test('what was read of a witness is reported: files, days, and days that have no file', async (t) => {
  const { notes } = whole;
  const files = { 'checkpoints-2026-11-21.jsonl': witnessText(notes.slice(0, 9)), [day]: witnessText(notes.slice(9)) };
  const report = await against(t, [files]);
  t.match(report.read, [
    /witness .*: 2 files of 2 days, 2026-11-21 to 2026-11-24; 2 days between have no file; newest checkpoint: size 30, era 1, [^;]*$/,
  ]);
  t.match(recordText(report, 600), /\nread: witness /);
});

test('a retired key is believed up to its end, and not beyond', async (t) => {
  const next = makeSigner(signer.name);
  const mixed = [...whole.notes.slice(0, 12), ...whole.heads.slice(12).map((_, i) => noteFor(whole, next, 13 + i))];
  const given = (end: string): VerifierKey[] => [
    parseVerifierKey(`${signer.verifierKey}${end}`),
    parseVerifierKey(next.verifierKey),
  ];
  const verified = (witness: readonly string[], end: string): Report => {
    const one = new Witness(given(end));
    witness.reduce<ReturnType<typeof one.add>>((before, note) => one.add(note, 'x', before), undefined);
    one.close();
    const verification = new Verification({ witness: one, now, maxAgeSeconds: 600 });
    for (const line of dumpLines(whole)) verification.line(JSON.parse(line), 'line');
    return verification.finish();
  };
  t.match(verified(mixed, '@1:12'), { ok: true, checkpoints: 30, newest: { size: 30 } });
  t.match(verified(mixed, '@1:11'), {
    found: 1,
    findings: [{ what: 'note forged', text: /was retired with era 1, size 11/ }],
  });
  const planted = [...mixed, noteFor(whole, signer, 12, 2, 90)];
  t.match(
    verified(planted, '@1:12'),
    { found: 1, newest: { size: 30, era: 1 }, abandoned: 0 },
    'a thief of it begins no era',
  );
  t.equal(verified(planted, '').abandoned, 18, 'without an end he does');
  for (const bad of ['@12', '@1:', '@01:2', '@1:2:3'])
    t.throws(() => parseVerifierKey(`${signer.verifierKey}${bad}`), /verifier key/, bad);
});

test('a new era that lost nothing is no finding', async (t) => {
  const notes = [
    ...whole.notes.slice(0, 20),
    ...whole.notes.slice(19).map((_, i) => noteFor(whole, signer, 20 + i, 2, 25 + i)),
  ];
  const report = await against(t, [{ [day]: witnessText(notes) }]);
  t.same(report.findings, []);
  t.match(report, { abandoned: 0, lost: [], newest: { era: 2, size: 30 } });
});

test('a pipe, a link or a directory in the place of a file is reported, and delays nothing', async (t) => {
  const directory = write(join(t.testdir(), 'odd'), { [day]: witnessText(whole.notes) });
  const dump = join(directory, 'dump.jsonl');
  writeFileSync(dump, fileText(dumpLines(whole)));
  const odd = join(directory, 'checkpoints-2026-11-25.jsonl');
  const verify = () =>
    bounded(20_000, 'the verifier', verifyRecord({ keys, witnesses: [directory], maxAgeSeconds: 600, dump, now }));
  const elsewhere = join(directory, 'elsewhere');
  writeFileSync(elsewhere, witnessText(whole.notes));
  for (const put of [
    () => void execFileSync('mkfifo', [odd]),
    () => symlinkSync(elsewhere, odd),
    () => mkdirSync(odd),
  ]) {
    put();
    const report = await verify();
    t.match(report, { ok: false, findings: [{ what: 'unreadable', text: /checkpoints-2026-11-25\.jsonl/ }] });
    rmSync(odd, { recursive: true });
  }
  writeFileSync(odd, '');
  t.match(await verify(), { ok: true }, 'twin: a file');
});
