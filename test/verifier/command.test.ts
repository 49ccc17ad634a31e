// The verifier as people call it: arguments, exit codes, text and JSON, alone in a directory without anything else.
import { spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'tap';
import {
  acme,
  bank,
  copyRecord,
  dumpLines,
  fileText,
  inTree,
  makeRecord,
  makeSigner,
  noteFor,
  sliceLines,
  witnessText,
} from './make-record.ts';

const signer = makeSigner();
const whole = makeRecord(signer);
const slice = sliceLines(whole, signer, { customer: acme, from: 0, to: 16, selected: (row) => row.position === 9 });
const project = join(import.meta.dirname, '..', '..');
const bundle = join(project, 'verifier', 'ledger-verifier.mjs');
/**
 * The oldest version for which it is made, one without `crypto.hash`, those at which other verifiers said nothing, and
 * newer ones.
 */
const versions = ['20.0.0', '20.11.1', '22.0.0', '22.12.0', '23.0.0', '24.0.0', '24.2.0'];
const packMs = 120_000;
type Ran = { readonly code: number | null; readonly out: string; readonly err: string };

function call(
  directory: string,
  args: readonly string[],
  input = '',
  node = process.execPath,
  file = 'ledger-verifier.mjs',
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [file, ...args], { cwd: directory });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
    // A command that refuses its arguments does not read its input.
    child.stdin.on('error', () => {});
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
    child.stdin.end(input);
  });
}

/** A Node of another version from the registry of packages, kept for the next run. Undefined when it cannot be had. */
async function nodeOf(version: string): Promise<string | undefined> {
  const name = `node-${process.platform}-${process.arch}`;
  const home = join(tmpdir(), 'cofferdam-test-nodes', version);
  const node = join(home, 'package', 'bin', 'node');
  if (existsSync(node)) return node;
  const draft = `${home}.${process.pid}`;
  mkdirSync(draft, { recursive: true });
  const options = { cwd: draft, timeout: packMs, encoding: 'utf8' } as const;
  const packed = spawnSync(
    'npm',
    ['pack', '--silent', '--prefer-offline', '--fetch-retries=1', `${name}@${version}`],
    options,
  );
  const [file] = (packed.stdout ?? '').trim().split('\n').slice(-1);
  if (packed.status !== 0 || file === undefined || spawnSync('tar', ['-xzf', file], options).status !== 0) {
    rmSync(draft, { recursive: true, force: true });
    return undefined;
  }
  rmSync(join(draft, file), { force: true });
  if (!existsSync(home)) renameSync(draft, home);
  return existsSync(node) ? node : undefined;
}

test('the command alone in a directory: its arguments, exit codes, text and JSON', async (t) => {
  const directory = t.testdir();
  copyFileSync(
    join(import.meta.dirname, '..', '..', 'verifier', 'ledger-verifier.mjs'),
    join(directory, 'ledger-verifier.mjs'),
  );
  // The command reads its own clock: the newest checkpoint is of this minute.
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
      t.match(
        { code, err, out },
        { code: 0, err: '', out: /^770 entries, 3 trees, 30 heads[\s\S]*\nread: witness [\s\S]*\nGOOD: / },
        args.join(' '),
      );
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
      verdict: 'good',
      findings: [],
    });
  });

  await t.test('findings: 1, and the first bad row is named', async (t) => {
    const { code, out } = await call(directory, ['dump', ...key, ...witness, 'changed.jsonl']);
    t.equal(code, 1);
    t.match(
      out,
      `\nNOT GOOD: 1 finding\nFirst bad row: tree ${bank} position 7 (entry number ${row?.number}): the entry was changed after it was sealed\n`,
    );
    const json = await call(directory, ['dump', ...key, ...witness, '--json', 'changed.jsonl']);
    t.equal(json.code, 1);
    t.match(JSON.parse(json.out), {
      ok: false,
      found: 1,
      findings: [{ what: 'changed', tree: bank, position: 7, number: row?.number }],
    });
    const old = await call(directory, ['dump', ...key, '--witness', 'other', '--max-age', '1', 'dump.jsonl']);
    t.match(old, { code: 1, out: /the newest checkpoint of the witness is .*(old|ahead)/ });
    const other = await call(directory, ['dump', '--key', makeSigner().verifierKey, ...witness, 'dump.jsonl']);
    t.match(other, { code: 1, out: /and 10 more/ });
    t.match(await call(directory, ['slice', ...key, 'dump.jsonl']), { code: 1, out: /is not that of a slice/ });
  });

  await t.test('wrong usage, and input that cannot be read: 2', async (t) => {
    for (const [args, said] of [
      [[], /usage:/],
      [['dump', ...key, 'dump.jsonl'], /--witness is missing/],
      [['dump', ...witness, 'dump.jsonl'], /--key is missing/],
      [['dump', '--key', 'x', ...witness, 'dump.jsonl'], /there is no file x/],
      [['dump', ...key, ...witness], /usage:/],
      [['dump', ...key, ...witness, 'dump.jsonl', 'more'], /usage:/],
      [['dump', ...key, ...witness, '--max-age', 'soon', 'dump.jsonl'], /--max-age takes seconds/],
      [['dump', ...key, ...witness, '--unknown', 'dump.jsonl'], /usage:/],
      [
        ['dump', ...key, '--key', makeSigner('cofferdam/other').verifierKey, ...witness, 'dump.jsonl'],
        /different installations/,
      ],
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
    t.match(await call(directory, ['--help']), { code: 2, out: /usage:[\s\S]*Exit code:/ }, 'it verified nothing');
  });

  await t.test('not everything was read: 3', async (t) => {
    mkdirSync(join(directory, 'empty'));
    const { code, out } = await call(directory, ['dump', ...key, '--witness', 'empty', 'dump.jsonl']);
    t.match({ code, out }, { code: 3, out: /NOT READ: the witness holds no checkpoint[\s\S]*NOT COMPLETE/ });
    const none = copyRecord(whole);
    Object.assign(none, { rows: [], heads: [], blocks: [] });
    mkdirSync(join(directory, 'zero'));
    writeFileSync(join(directory, 'zero', 'checkpoints-2026-11-24.jsonl'), witnessText([noteFor(none, signer, 0)]));
    const begun = await call(directory, ['dump', ...key, '--witness', 'zero', '--max-age', '0', '-']);
    t.match(begun, { code: 3, out: /it proves no entry/ }, 'nothing against a checkpoint of nothing');
  });

  await t.test('slices', async (t) => {
    writeFileSync(join(directory, 'slice.jsonl'), fileText(slice));
    writeFileSync(join(directory, 'cut.jsonl'), fileText(slice.slice(0, -1)));
    t.match(await call(directory, ['slice', ...key, ...witness, 'slice.jsonl']), {
      code: 0,
      err: '',
      out: /That is proved\. .*\n.*enclose the window.*\nNobody vouches/,
    });
    t.match(await call(directory, ['slice', ...key, '--json', '-'], fileText(slice)), {
      code: 0,
      out: /"verdict":"good"/,
    });
    t.match(await call(directory, ['slice', ...key, ...witness, 'cut.jsonl']), { code: 1, out: /NOT GOOD/ });
    const demanded = (...more: string[]) => call(directory, ['slice', ...key, ...more, 'slice.jsonl']);
    t.match(await demanded('--since', '2026-11-24T18:00:00Z', '--until', '2026-11-24T18:00:16.000Z'), { code: 0 });
    t.match(await demanded('--until', '2026-11-24T18:00:17Z'), {
      code: 1,
      out: /has to reach to 2026-11-24T18:00:17\.000Z/,
    });
    t.match(await demanded('--since', '2026-11-24T17:59:59Z'), { code: 1, out: /has to begin at/ });
    t.match(await demanded('--until', 'tomorrow'), { code: 2, err: /takes an instant in UTC/ });
    t.match(await call(directory, ['dump', ...key, ...witness, '--until', '2026-11-24T18:00:17Z', 'dump.jsonl']), {
      code: 2,
      err: /belong to slice/,
    });
    const [first = '', ...rest] = slice;
    const odd = JSON.parse(first);
    odd.slice.subject = '\u009b2J\u2028';
    writeFileSync(join(directory, 'odd.jsonl'), fileText([JSON.stringify(odd), ...rest]));
    for (const more of [[], ['--json']]) {
      const said = await call(directory, ['slice', ...key, ...more, 'odd.jsonl']);
      t.equal(said.code, 0);
      t.notMatch(said.out.replaceAll('\n', ''), /[\p{C}\u2028]/u, more.join(''));
    }
  });

  await t.test('however it is started, it never ends with 0 without a verification', async (t) => {
    symlinkSync(join(directory, 'ledger-verifier.mjs'), join(directory, 'link.mjs'));
    mkdirSync(join(directory, 'a b'));
    copyFileSync(join(directory, 'ledger-verifier.mjs'), join(directory, 'a b', 'vérifier.mjs'));
    const good = ['dump', ...key, ...witness, 'dump.jsonl'];
    for (const file of [
      'link.mjs',
      './ledger-verifier.mjs',
      join(directory, 'ledger-verifier.mjs'),
      join('a b', 'vérifier.mjs'),
    ]) {
      t.match(await call(directory, good, '', process.execPath, file), { code: 0, out: /GOOD/ }, file);
      t.match(
        await call(directory, ['dump', ...key, ...witness, 'changed.jsonl'], '', process.execPath, file),
        { code: 1 },
        file,
      );
      t.match(await call(directory, [], '', process.execPath, file), { code: 2 }, file);
    }
    const kept = await call(
      directory,
      ['--preserve-symlinks-main', 'link.mjs', ...good].slice(1),
      '',
      process.execPath,
      '--preserve-symlinks-main',
    );
    t.match(kept, { code: 0, out: /GOOD/ });
    t.match(
      await call(directory, good, '', process.execPath, join(project, 'verifier', 'main.js')),
      { code: 0, out: /GOOD/ },
      'from its files',
    );
    // As text on standard input there are no arguments: nothing is verified.
    const source = readFileSync(join(directory, 'ledger-verifier.mjs'), 'utf8');
    t.match(await call(directory, ['--input-type=module'].slice(1), source, process.execPath, '--input-type=module'), {
      code: 2,
    });
  });
});

test('other versions of Node give the same results', async (t) => {
  const directory = t.testdir();
  copyFileSync(bundle, join(directory, 'ledger-verifier.mjs'));
  mkdirSync(join(directory, 'witness'));
  writeFileSync(join(directory, 'witness', 'checkpoints-2026-11-24.jsonl.gz'), gzipSync(witnessText(whole.notes)));
  writeFileSync(join(directory, 'dump.jsonl'), fileText(dumpLines(whole)));
  writeFileSync(join(directory, 'slice.jsonl'), fileText(slice));
  writeFileSync(join(directory, 'cut.jsonl'), fileText(slice.slice(0, -1)));
  const record = copyRecord(whole);
  const row = inTree(record, bank)[7];
  if (row !== undefined) row.kind = 'forged';
  writeFileSync(join(directory, 'changed.jsonl'), fileText(dumpLines(record)));
  const key = ['--key', signer.verifierKey, '--witness', 'witness'];
  const age = ['--max-age', '0'];
  for (const version of versions) {
    const node = await nodeOf(version);
    if (node === undefined) {
      t.pass(`Node ${version} was left out: the registry of packages did not give it`);
      continue;
    }
    const said = await call(directory, ['-p', 'process.version'].slice(1), '', node, '-p');
    t.comment(`${version}: ${said.out.trim()}`);
    const expected = async (args: readonly string[], code: number, out: RegExp): Promise<void> =>
      void t.match(await call(directory, args, '', node), { code, out }, `${version}: ${args[0]} ${args.at(-1)}`);
    await expected(['dump', ...key, ...age, 'dump.jsonl'], 0, /GOOD: every witnessed entry/);
    await expected(['dump', ...key, ...age, 'changed.jsonl'], 1, /First bad row: tree bbbb/);
    await expected(['slice', ...key, 'slice.jsonl'], 0, /That is proved/);
    await expected(['slice', ...key, 'cut.jsonl'], 1, /NOT GOOD/);
    await expected(['--help'], 2, /usage:/);
  }
});
