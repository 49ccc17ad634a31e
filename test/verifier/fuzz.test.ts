// Whatever the files contain, the verifier never ends with a code other than 2 by a crash, and never with 0 for a
// record, a slice or a note that was changed.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'tap';
import {
  parseStrictly,
  parseVerifierKey,
  SliceVerification,
  Verification,
  verifySlice,
  Witness,
} from '../../verifier/index.js';
import { type Chance, chanceOf } from './cases.ts';
import {
  acme,
  addBlocks,
  archive,
  bank,
  common,
  drop,
  dumpLines,
  emptyRecord,
  fileText,
  inTree,
  type MadeRecord,
  makeSigner,
  noteFor,
  seal,
  septemberMs,
  sliceLines,
  startMs,
  witnessText,
} from './make-record.ts';

const signer = makeSigner();
const keys = [parseVerifierKey(signer.verifierKey)];

/** A record with everything in it: blocks, leaves, an archive that left, two epochs. */
function makeSmall(): MadeRecord {
  const record = emptyRecord();
  record.clockMs = septemberMs;
  for (let i = 0; i < 6; i += 1) {
    seal(record, { [common]: 2, [acme]: i === 2 ? 260 : 3, [bank]: 1 }, { epoch: i === 3 });
    if (i !== 1) record.notes.push(noteFor(record, signer, i + 1));
  }
  const rows = inTree(record, acme).slice(0, 258);
  record.clockMs = startMs;
  archive(record, { month: '2026-09', rows });
  seal(record, { [bank]: 1 }, { epoch: true });
  record.notes.push(noteFor(record, signer, 8));
  addBlocks(record);
  drop(record, rows);
  return record;
}

const small = makeSmall();
const lines = dumpLines(small);
/** All of it, without what left: good where `small` is not complete. */
const whole = ((): MadeRecord => {
  const record = emptyRecord();
  for (let i = 0; i < 5; i += 1) seal(record, { [common]: 2, [acme]: 3, [bank]: 1 }, { epoch: i === 3 });
  record.notes.push(...record.heads.map((_, i) => noteFor(record, signer, i + 1)));
  return record;
})();
const slice = sliceLines(whole, signer, { customer: acme, from: 0, to: 3, selected: ({ position }) => position === 5 });

function witnessOf(notes: readonly unknown[]): Witness {
  const witness = new Witness(keys);
  notes.reduce<ReturnType<Witness['add']>>((before, note) => witness.add(note, 'note', before), undefined);
  witness.close();
  return witness;
}

function verdictOf(given: readonly string[], notes: readonly unknown[]): string {
  const verification = new Verification({ witness: witnessOf(notes), now: startMs, maxAgeSeconds: 0 });
  for (const line of given) verification.line(parseStrictly(line), 'line');
  return verification.finish().verdict;
}

function sliceVerdictOf(given: readonly string[]): string {
  const verification = new SliceVerification(keys, undefined);
  for (const line of given) verification.line(parseStrictly(line), 'line');
  return verification.finish().verdict;
}

const signs = [...'0123456789abcdefABCDEF"\\,:.+-[]{}= \t\u0000\u001b\u00e9\u2028\ud83d'];
const values: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1.5,
  2 ** 53,
  1e300,
  '',
  'x',
  '\u0000',
  [],
  {},
  [[]],
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  acme,
  'a'.repeat(64),
];

/** One letter less, more or different; a piece twice, or gone; a number that is larger. */
function mutated(text: string, { int, pick, is }: Chance): string {
  const at = int(text.length + 1);
  const to = at + int(is(0.2) ? 60 : 3);
  const put = pick<() => string>([
    () => pick(signs),
    () => '',
    () => text.slice(at, to) + text.slice(at, to),
    () => pick(signs) + pick(signs),
    () => String(int(2 ** 31)),
    () => JSON.stringify(pick(values)),
  ])();
  return text.slice(0, at) + put + text.slice(to);
}

/** Another value in one place of the parsed line. */
function withOther(text: string, chance: Chance): string {
  const value: unknown = JSON.parse(text);
  const places: { readonly of: Record<string, unknown>; readonly name: string }[] = [];
  const walk = (one: unknown): void => {
    if (typeof one !== 'object' || one === null) return;
    for (const name of Object.keys(one)) {
      const of = one as Record<string, unknown>;
      places.push({ of, name });
      walk(of[name]);
    }
  };
  walk(value);
  const { of, name } = chance.pick(places);
  of[name] = chance.pick(values);
  return JSON.stringify(value);
}

/** Returns whether a reader of JSON sees the same in both, with each key once. */
function sameValue(a: string, b: string): boolean {
  try {
    return JSON.stringify(JSON.parse(a)) === JSON.stringify(JSON.parse(b));
  } catch {
    return false;
  }
}

test('a dump with one line changed is never good, and never ends in a crash', async (t) => {
  t.equal(verdictOf(dumpLines(whole), whole.notes), 'good');
  t.equal(verdictOf(lines, small.notes), 'incomplete');
  const chance = chanceOf(7);
  const good = dumpLines(whole);
  const passed: string[] = [];
  let bad = 0;
  for (let i = 0; i < 1200; i += 1) {
    const isSmall = i % 20 === 0;
    const of = isSmall ? lines : good;
    const at = chance.int(of.length);
    const before = of[at] ?? '';
    const line = chance.is(0.5) ? mutated(before, chance) : withOther(before, chance);
    const verdict = verdictOf(of.with(at, line), isSmall ? small.notes : whole.notes);
    if (verdict === 'bad') bad += 1;
    else if (!sameValue(before, line) && !(isSmall && verdict === 'incomplete' && /^\{"(?:leaf|block)"/.test(before)))
      passed.push(`${before}\n${line}`);
  }
  t.same(passed, []);
  t.ok(bad > 900, `${bad} were found`);
});

test('notes, one changed at a time: a different note is not believed', async (t) => {
  const chance = chanceOf(11);
  const good = dumpLines(whole);
  for (let i = 0; i < 600; i += 1) {
    const at = chance.int(whole.notes.length);
    const before = whole.notes[at] ?? '';
    const note = chance.is(0.1) ? chance.pick(values) : mutated(before, chance);
    if (note === before) continue;
    const verdict = verdictOf(good, whole.notes.with(at, note as string));
    if (verdict !== 'bad') t.fail(JSON.stringify(note));
  }
  t.pass('none was');
});

test('a slice with one line changed is never good, and never ends in a crash', async (t) => {
  t.equal(sliceVerdictOf(slice), 'good');
  const chance = chanceOf(13);
  const passed: string[] = [];
  // The operator's word, or the time of day: changing it is not noticed, except in the checkpoint.
  const stated = (line: string): string =>
    line.replace(/"subject":"(?:[^"\\]|\\.)*"/, '"subject":""').replace(/"(begin|end)":(?:\d+|null)/g, '"$1":0');
  for (let i = 0; i < 700; i += 1) {
    const at = chance.int(slice.length);
    const before = slice[at] ?? '';
    const line = chance.is(0.5) ? mutated(before, chance) : withOther(before, chance);
    if (sliceVerdictOf(slice.with(at, line)) === 'good' && !sameValue(stated(before), stated(line)))
      passed.push(`${before}\n${line}`);
  }
  t.same(passed, []);
});

test('a slice with a byte changed, and files that are no slice, are never good', async (t) => {
  const chance = chanceOf(17);
  const good = Buffer.from(fileText(slice));
  for (let i = 0; i < 400; i += 1) {
    const bytes = Buffer.from(good);
    const at = chance.int(bytes.length);
    bytes[at] = chance.int(256);
    const text = bytes.toString('latin1');
    const verdict = await verifySlice({ keys, witnesses: [], slice: Readable.from([bytes]) }).then(
      (report) => report.verdict,
      () => 'unreadable',
    );
    const isStated = /"(?:subject":"|begin":|end":)/.test(text.slice(Math.max(0, at - 40), at)) || bytes.equals(good);
    // A blank at the end of a line or between two lines changes nothing.
    const isBlank = [10, 13, 32].includes(bytes[at] ?? 0) && [10].includes(good[at] ?? 0);
    if (verdict === 'good' && !isStated && !isBlank) t.fail(`byte ${at}: ${good[at]} to ${bytes[at]}`);
  }
  t.pass('no other byte');
});

/** The exit code and the output. */
function codeOf(
  directory: string,
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, '..', '..', 'verifier', 'ledger-verifier.mjs'), ...args],
      {
        cwd: directory,
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    let err = '';
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, err }));
  });
}

test('the command with files of noise: 1 or 2, and its own words', async (t) => {
  const directory = t.testdir();
  const chance = chanceOf(19);
  const noise = (bytes: number): Buffer => Buffer.from(Array.from({ length: bytes }, () => chance.int(256)));
  const files: Readonly<Record<string, string | Buffer>> = {
    nothing: '',
    newline: '\n',
    noise: noise(5000),
    zeros: Buffer.alloc(5000),
    deep: `${'['.repeat(100_000)}\n`,
    long: `{"entry":["${'x'.repeat(2_000_000)}"]}\n`,
    longer: 'x'.repeat(17 * 1024 * 1024),
    number: '7\n',
    'half.gz': Buffer.from([0x1f, 0x8b, 8, 0, 0]),
    far: `{"head":[9007199254740991,0,0,"${Buffer.alloc(32).toString('base64')}",""]}\n{"head":[9007199254740991,0,0,"${Buffer.alloc(32).toString('base64')}","${acme} 9007199254740991 ${Buffer.alloc(32).toString('base64')}\\n"]}\n`,
    ends: `${lines.slice(0, 3).join('\n')}\n${noise(100).toString('latin1')}`,
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  mkdirSync(join(directory, 'witness'));
  writeFileSync(join(directory, 'witness', 'checkpoints-2026-11-24.jsonl'), witnessText(whole.notes));
  mkdirSync(join(directory, 'noisy'));
  writeFileSync(
    join(directory, 'noisy', 'checkpoints-2026-11-24.jsonl'),
    Buffer.concat([noise(300), Buffer.from('\n')]),
  );
  writeFileSync(join(directory, 'noisy', 'checkpoints-2026-11-25.jsonl.gz'), noise(300));
  writeFileSync(join(directory, 'good'), fileText(dumpLines(whole)));
  const key = ['--key', signer.verifierKey];
  for (const name of Object.keys(files))
    for (const command of ['dump', 'slice']) {
      const { code, err } = await codeOf(directory, [
        command,
        ...key,
        '--witness',
        'witness',
        ...(command === 'dump' ? ['--max-age', '0'] : []),
        name,
      ]);
      t.ok(code === 1 || code === 2, `${command} ${name}: ${code}`);
      t.notMatch(err, /at \S+:\d+:\d+|node:internal/, `${command} ${name}: no stack`);
    }
  t.match(await codeOf(directory, ['dump', ...key, '--max-age', '0', '--witness', 'noisy', 'good']), { code: 1 });
  t.match(
    await codeOf(directory, ['dump', ...key, '--max-age', '0', '--witness', 'witness', 'good']),
    { code: 0 },
    'their good twin',
  );
  t.match(
    await codeOf(directory, ['dump', ...key, '--max-age', '0', '--witness', 'witness', directory]),
    { code: 2 },
    'a directory',
  );
  t.match(
    await codeOf(directory, ['dump', '--key', 'noise', '--max-age', '0', '--witness', 'witness', 'good']),
    { code: 2 },
    'a key of noise',
  );
});
