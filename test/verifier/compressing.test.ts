// A day of a witness that is being compressed stands there twice, and the second file is not whole yet: that is no
// finding.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'tap';
import { parseVerifierKey, readWitness } from '../../verifier/index.js';
import { makeRecord, makeSigner, witnessText } from './make-record.ts';

test('of a day that stands there twice the whole file counts', async (t) => {
  const signer = makeSigner();
  const { notes } = makeRecord(signer);
  const place = join(t.testdir(), 'witness');
  mkdirSync(place);
  const text = witnessText(notes);
  const [plain, packed] = [join(place, 'checkpoints-2026-11-24.jsonl'), join(place, 'checkpoints-2026-11-24.jsonl.gz')];
  const keys = [parseVerifierKey(signer.verifierKey)];
  writeFileSync(plain, text);
  writeFileSync(packed, gzipSync(text));
  t.equal((await readWitness([place], keys)).findings.count, 0, 'twin: both are whole');
  for (const bytes of [0, 9, 900]) {
    writeFileSync(packed, gzipSync(text).subarray(0, bytes));
    const { findings, newest, read } = await readWitness([place], keys);
    t.match(
      { findings: findings.list, newest },
      { findings: [], newest: { size: notes.length } },
      `${bytes} bytes of it`,
    );
    t.match(read.join('\n'), bytes === 0 ? /2 files/ : /checkpoints-2026-11-24\.jsonl\.gz is not whole yet/);
  }
  rmSync(plain);
  t.match((await readWitness([place], keys)).findings.list, [{ what: 'unreadable' }], 'twin: alone it is a finding');
});
