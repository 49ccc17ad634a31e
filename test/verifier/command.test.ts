// The verifier as it is called: arguments, exit codes, text and JSON, alone in a directory without anything else.
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { bank, copyRecord, dumpLines, fileText, inTree, makeRecord, makeSigner, noteFor, sliceLines, witnessText } from './make-record.ts';

const signer = makeSigner();
const whole = makeRecord(signer);
type Ran = { readonly code: number | null; readonly out: string; readonly err: string };

function call(directory: string, args: readonly string[], input = ''): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['ledger-verifier.ts', ...args], { cwd: directory });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
    child.stdin.end(input);
  });
}

test('the command', async (t) => {
  const directory = t.testdir();
  copyFileSync(join(import.meta.dirname, '..', '..', 'verifier', 'ledger-verifier.ts'), join(directory, 'ledger-verifier.ts'));
  // The command looks at its own clock: the newest checkpoint is of this minute.
  const fresh = noteFor(whole, signer, 30, 1, Math.floor((Date.now() - Date.UTC(2026, 10, 24, 18)) / 1000));
  for (const [name, notes] of [
    ['witness', [...whole.notes.slice(0, 29), fresh]],
    ['other', whole.notes.slice(0, 10)],
  ] as const) {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'checkpoints-2026-11-24.jsonl'), witnessText(notes));
  }
  const dump = fileText(dumpLines(whole));
  writeFileSync(join(directory, 'dump.jsonl'), dump);
  const record = copyRecord(whole);
  const row = inTree(record, bank)[7];
  if (row !== undefined) row.client = '\u001b[2Jforged';
  writeFileSync(join(directory, 'changed.jsonl'), fileText(dumpLines(record)));
  writeFileSync(join(directory, 'key'), `${signer.verifierKey}\n`);
  const key = ['--key', signer.verifierKey];
  const witness = ['--witness', 'witness'];

  await t.test('good: 0', async (t) => {
    for (const args of [
      ['dump', ...key, ...witness, 'dump.jsonl'],
      ['dump', '--key', 'key', ...witness, '--witness', 'other', 'dump.jsonl'],
      ['dump', ...key, '--key', 'key', ...witness, '--max-age', '0', '-'],
    ]) {
      const { code, out, err } = await call(directory, args, args.includes('-') ? dump : '');
      t.match({ code, err, out }, { code: 0, err: '', out: /^770 entries[\s\S]*\nGOOD: / }, args.join(' '));
    }
    const json = await call(directory, ['dump', ...key, ...witness, '--json', 'dump.jsonl']);
    t.equal(json.code, 0);
    t.equal(json.out.trimEnd().split('\n').length, 1);
    t.match(JSON.parse(json.out), {
      ok: true,
      entries: 770,
      heads: 30,
      trees: 3,
      checkpoints: 30,
      newest: { size: 30, era: 1 },
      abandoned: 0,
      archived: 0,
      findings: [],
    });
  });

  await t.test('findings: 1, the first bad row named', async (t) => {
    const { code, out } = await call(directory, ['dump', ...key, ...witness, 'changed.jsonl']);
    t.equal(code, 1);
    t.match(
      out,
      `\nNOT GOOD: 1 finding\nFirst bad row: tree ${bank} position 7 (entry number ${row?.number}): the entry was changed after it was sealed\n`,
    );
    const json = await call(directory, ['dump', ...key, ...witness, '--json', 'changed.jsonl']);
    t.equal(json.code, 1);
    t.match(JSON.parse(json.out), { ok: false, found: 1, findings: [{ what: 'changed', tree: bank, position: 7, number: row?.number }] });
    const old = await call(directory, ['dump', ...key, '--witness', 'other', '--max-age', '1', 'dump.jsonl']);
    t.match(old, { code: 1, out: /the newest checkpoint of the witness is .*(old|ahead)/ });
    const other = await call(directory, ['dump', '--key', makeSigner().verifierKey, ...witness, 'dump.jsonl']);
    t.match(other, { code: 1, out: /and 11 more/ });
    t.match(await call(directory, ['slice', ...key, 'dump.jsonl']), { code: 1, out: /is not that of a slice/ });
  });

  await t.test('wrong usage and what cannot be read: 2', async (t) => {
    for (const [args, said] of [
      [[], /usage:/],
      [['dump', ...key, 'dump.jsonl'], /--witness is missing/],
      [['dump', ...witness, 'dump.jsonl'], /--key is missing/],
      [['dump', '--key', 'x', ...witness, 'dump.jsonl'], /not a verifier key/],
      [['dump', ...key, ...witness], /usage:/],
      [['dump', ...key, ...witness, 'dump.jsonl', 'more'], /usage:/],
      [['dump', ...key, ...witness, '--max-age', 'soon', 'dump.jsonl'], /--max-age takes seconds/],
      [['dump', ...key, ...witness, '--unknown', 'dump.jsonl'], /usage:/],
      [['dump', ...key, '--key', makeSigner('cofferdam/other').verifierKey, ...witness, 'dump.jsonl'], /different installations/],
      [['dump', ...key, ...witness, 'nothing.jsonl'], /nothing was verified: ENOENT/],
      [['dump', ...key, '--witness', 'nowhere', 'dump.jsonl'], /nothing was verified: ENOENT/],
      [['dump', ...key, ...witness, '--archive', 'nowhere', 'dump.jsonl'], /nothing was verified: ENOENT/],
      [['slice', ...key, '--max-age', '5', 'dump.jsonl'], /belong to dump/],
      [['copy', ...key, 'dump.jsonl'], /usage:/],
    ] as const) {
      const { code, out, err } = await call(directory, args);
      t.equal(code, 2, args.join(' '));
      t.equal(out, '');
      t.match(err, said);
    }
    t.match(await call(directory, ['--help']), { code: 0, out: /usage:/ });
  });
});
