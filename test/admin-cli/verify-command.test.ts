// The command that a customer copies out of VERIFY.md, when somebody planted a row in the table of keys.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { verifying } from '../../admin-cli/incident/letters.ts';
import { shownKeys } from '../../server/admin/ledger/shown-rows.ts';
import { acme, emptyRecord, fileText, makeSigner, noteFor, seal, sliceLines } from '../verifier/make-record.ts';

const verifier = join(import.meta.dirname, '..', '..', 'verifier', 'ledger-verifier.mjs');

/** A key whose id fits its name, as anybody can make it. */
function keyOf(name: string): string {
  const bytes = Buffer.from(makeSigner().verifierKey.split('+').slice(2).join('+'), 'base64');
  const id = createHash('sha256')
    .update(Buffer.concat([Buffer.from(`${name}\n`), bytes]))
    .digest('hex')
    .slice(0, 8);
  return `${name}+${id}+${bytes.toString('base64')}`;
}

for (const [what, name] of [
  ['a name that a shell would run', 'x;touch$IFS.owned;#'],
  ['a name of another installation', 'cofferdam/other'],
] as const)
  test(`a planted key: ${what}`, (t) => {
    const root = mkdtempSync(join(tmpdir(), 'cofferdam-test-'));
    t.teardown(() => rmSync(root, { recursive: true, force: true }));
    const signer = makeSigner();
    const record = emptyRecord();
    seal(record, { [acme]: 3 }, { epoch: true });
    const note = noteFor(record, signer, 1);
    record.notes.push(note);
    const folder = join(root, 'acme');
    mkdirSync(folder);
    copyFileSync(verifier, join(root, 'ledger-verifier.mjs'));
    const until = new Date((record.heads[0]?.at ?? 0) / 1000).toISOString();
    writeFileSync(
      join(folder, 'slice.jsonl'),
      fileText(sliceLines(record, signer, { customer: acme, from: null, to: 0 })),
    );
    const keys = shownKeys([keyOf(name), signer.verifierKey], note);
    const text = verifying(keys, { name: 'acme', id: acme, isProved: true }, { since: null, until });
    const command = /^node .*$/m.exec(text)?.[0] ?? '';
    t.comment(command);
    let code = 0;
    try {
      execFileSync('bash', ['-c', command], { cwd: folder, stdio: 'ignore' });
    } catch (error) {
      code = (error as { status: number }).status;
    }
    t.notOk(existsSync(join(folder, 'owned')), 'nothing of it is run');
    t.equal(code, 0, 'and the slice, which is good, verifies');
    t.end();
  });
