// What the holder of a witness can make a verification do has a limit: repeated checkpoints, lines that are none, and
// compressed files that unpack to more than a day.
import crypto from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Test, test } from 'tap';
import { parseVerifierKey, readWitness } from '../../verifier/index.js';
import { makeRecord, makeSigner, witnessText } from './make-record.ts';

const signer = makeSigner();
const keys = [parseVerifierKey(signer.verifierKey)];
const { notes } = makeRecord(signer);

/** How many signatures are verified meanwhile. */
async function signaturesOf(work: () => Promise<void>): Promise<number> {
  const { verify } = crypto;
  let count = 0;
  crypto.verify = ((...args: Parameters<typeof verify>) => {
    count += 1;
    return verify(...args);
  }) as typeof verify;
  syncBuiltinESMExports();
  try {
    await work();
    return count;
  } finally {
    crypto.verify = verify;
    syncBuiltinESMExports();
  }
}

function placed(t: Test, content: string | Buffer): string {
  const place = mkdtempSync(join(tmpdir(), 'cofferdam-test-'));
  t.teardown(() => rmSync(place, { recursive: true, force: true }));
  writeFileSync(join(place, 'checkpoints-2026-11-23.jsonl.gz'), gzipSync(content));
  return place;
}

test('a text that was verified is not verified again, however often it comes', async (t) => {
  const place = placed(t, witnessText([notes[2] ?? '', notes[3] ?? ''].flatMap((one) => [one, one])).repeat(5000));
  let checkpoints = 0;
  let found = -1;
  const count = await signaturesOf(async () => {
    const witness = await readWitness([place], keys);
    checkpoints = witness.checkpoints;
    found = witness.findings.count;
    t.same(
      [...witness.accepted()].map(({ size }) => size),
      [3, 4],
      'each is kept once',
    );
  });
  t.equal(checkpoints, 20_000);
  t.equal(found, 0, 'a checkpoint that was signed earlier may come late');
  t.equal(count, 2);
  t.equal(
    await signaturesOf(async () => void (await readWitness([placed(t, witnessText(notes))], keys))),
    notes.length,
  );
});

test('a file ends behind a hundred lines that are no checkpoints, and that is told', async (t) => {
  const { findings, checkpoints } = await readWitness([placed(t, Buffer.alloc(2 ** 20, 10))], keys);
  t.equal(findings.count, 101);
  t.match(findings.list.at(-1), { what: 'unreadable', text: /broke off after line 100: .*the rest was not read/ });
  t.equal(checkpoints, 0);
  for (const [lines, count] of [
    [99, 99],
    [100, 101],
  ] as const) {
    const place = placed(t, 'junk\n'.repeat(lines) + witnessText(notes));
    const twin = await readWitness([place], keys);
    t.equal(twin.findings.count, count, `${lines} lines`);
    t.equal(twin.checkpoints, lines === 99 ? notes.length : 0, 'what stands behind them');
  }
});

test('a file that unpacks to more than a day of checkpoints is not read to its end', async (t) => {
  const text = Buffer.from(witnessText(notes));
  const place = placed(t, text);
  const cut = await readWitness([place], keys, { bytesMax: text.length - 1 });
  t.match(cut.findings.list, [{ what: 'unreadable', text: /it is longer than a day of checkpoints/ }]);
  t.equal((await readWitness([place], keys, { bytesMax: text.length })).findings.count, 0, 'the twin');
});

test('the newest checkpoint of each witness is told', async (t) => {
  const places = [placed(t, witnessText(notes)), placed(t, witnessText(notes.slice(0, 9))), placed(t, 'junk\n')];
  const { read } = await readWitness(places, keys);
  t.match(read, [
    /; newest checkpoint: size 30, era 1, 2026-11-24T18:00:30\.000Z$/,
    /; newest checkpoint: size 9, era 1, 2026-11-24T18:00:09\.000Z$/,
    /; newest checkpoint: none$/,
  ]);
});
