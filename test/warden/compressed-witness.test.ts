// Days of a witness are compressed while wardens write: what is not whole yet is neither lost nor in the way, and the
// work of a start does not grow with the age of the witness.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Test, test } from 'tap';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import { temporaryDirectory } from '../support/database.ts';
import { makeRecord, makeSigner, noteFor } from '../verifier/make-record.ts';

const signer = makeSigner();
const made = makeRecord(signer);
const lineOf = (size: number): string => `${JSON.stringify(noteFor(made, signer, size))}\n`;

function witnesses(t: Test, count: number): { readonly place: string; readonly all: readonly FileWitness[] } {
  const place = join(temporaryDirectory(t), 'witness');
  mkdirSync(place);
  const all = Array.from({ length: count }, () => new FileWitness('far', true, place, 60_000));
  t.teardown(() => Promise.all(all.map((one) => one.close())));
  return { place, all };
}

test('a past day that is being compressed while two wardens write is no loss', async (t) => {
  const { place, all } = witnesses(t, 2);
  const [one, other] = all;
  if (one === undefined || other === undefined) throw new Error('no witnesses');
  await one.keep(noteFor(made, signer, 2));
  await one.check();
  // `gzip` writes the second file for some seconds, and removes the first one when it is whole.
  const day = lineOf(1).repeat(200);
  writeFileSync(join(place, 'checkpoints-2026-01-01.jsonl'), day);
  await other.keep(noteFor(made, signer, 3));
  await one.check();
  writeFileSync(join(place, 'checkpoints-2026-01-01.jsonl.gz'), gzipSync(day).subarray(0, 100));
  await other.keep(noteFor(made, signer, 4));
  await t.resolves(one.check(), 'nothing is lost');
  t.equal(await one.newest(), noteFor(made, signer, 4), 'and a start meanwhile finds the newest note');
  rmSync(join(place, 'checkpoints-2026-01-01.jsonl'));
  await other.keep(noteFor(made, signer, 5));
  await t.rejects(one.check(), { code: 'unavailable' }, 'what cannot be read at all is not called lost');
  rmSync(join(place, 'checkpoints-2026-01-01.jsonl.gz'));
  rmSync(join(place, 'checkpoints-2026-11-24.jsonl'));
  await t.rejects(one.check(), { code: 'corrupt', message: /has lost what it had/ }, 'twin: what is gone is');
});

test('of compressed days only the newest are unpacked', async (t) => {
  const { place, all } = witnesses(t, 1);
  const [one] = all;
  const noteOf = (day: number): string => noteFor(made, signer, day, 1, (day - 9) * 86_400);
  const fileOf = (day: number): string => join(place, `checkpoints-2026-11-${15 + day}.jsonl.gz`);
  for (let day = 1; day <= 9; day += 1)
    writeFileSync(fileOf(day), day < 8 ? 'this is no compressed file' : gzipSync(`${JSON.stringify(noteOf(day))}\n`));
  t.equal(await one?.newest(), noteOf(9));
  for (const day of [8, 9]) writeFileSync(fileOf(day), gzipSync(''));
  await t.rejects(
    async () => one?.newest(),
    { code: 'unavailable' },
    'twin: where those have no note, the next one is read',
  );
});
