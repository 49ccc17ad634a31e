// Which key is believed: the one that was given, whatever files stand in the folder of whoever handed on the slice; and
// once, with one end.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'tap';
import { acme, emptyRecord, fileText, makeSigner, noteFor, seal, sliceLines } from './make-record.ts';

const verifier = join(import.meta.dirname, '..', '..', 'verifier', 'ledger-verifier.mjs');

test('a file that is called like the key is not the key', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cofferdam-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  // One key of 64 ends with a slash, and no file is called so.
  let gateway = makeSigner();
  while (gateway.verifierKey.endsWith('/')) gateway = makeSigner();
  const thief = makeSigner();
  const record = emptyRecord();
  seal(record, { [acme]: 3 }, { epoch: true });
  record.notes.push(noteFor(record, thief, 1));
  writeFileSync(
    join(folder, 'slice.jsonl'),
    fileText(sliceLines(record, thief, { customer: acme, from: null, to: 0 })),
  );
  const planted = join(folder, gateway.verifierKey);
  mkdirSync(dirname(planted), { recursive: true });
  writeFileSync(planted, `${thief.verifierKey}\n`);
  let code = 0;
  try {
    execFileSync(process.execPath, [verifier, 'slice', '--key', gateway.verifierKey, 'slice.jsonl'], { cwd: folder });
  } catch (error) {
    code = (error as { status: number }).status;
  }
  t.equal(code, 1, 'forged by somebody who has no key of the gateway');
});

test('one key with two ends, and keys of two installations, verify nothing', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cofferdam-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const gateway = makeSigner();
  const record = emptyRecord();
  seal(record, { [acme]: 3 }, { epoch: true });
  record.notes.push(noteFor(record, gateway, 1));
  writeFileSync(
    join(folder, 'slice.jsonl'),
    fileText(sliceLines(record, gateway, { customer: acme, from: null, to: 0 })),
  );
  const run = (
    ...keys: readonly string[]
  ): { readonly status: number | null; readonly stdout: string; readonly stderr: string } =>
    spawnSync(process.execPath, [verifier, 'slice', ...keys.flatMap((key) => ['--key', key]), 'slice.jsonl'], {
      cwd: folder,
      encoding: 'utf8',
    });
  const good = run(gateway.verifierKey, gateway.verifierKey);
  t.equal(good.status, 0, 'the same key twice is one key');
  t.match(good.stdout, `Believed: whatever was signed with ${gateway.verifierKey.split('+').slice(0, 2).join('+')}.`);
  for (const ends of [
    [gateway.verifierKey, `${gateway.verifierKey}@1:1`],
    [`${gateway.verifierKey}@1:1`, `${gateway.verifierKey}@1:2`],
  ]) {
    const two = run(...ends);
    t.equal(two.status, 2);
    t.match(two.stderr, /was given with two different ends/);
  }
  const unknown = run('ledger.vkey');
  t.equal(unknown.status, 2);
  t.match(unknown.stderr, /there is no file ledger\.vkey/);
  t.end();
});
