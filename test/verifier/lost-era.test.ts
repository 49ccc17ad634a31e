// What an abandoned era lost of a customer is told by every verification of a slice: inside the window of the slice it
// is not complete, outside it is told.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { readWhole } from '../../server/verify/library.ts';
import { parseStrictly, parseVerifierKey, SliceVerification, sliceText, Witness } from '../../verifier/index.js';
import { earlySeconds, lostSeconds, notes, record, signer } from './lost-record.ts';
import { acme, dumpLines, fileText, sliceLines, startMs, witnessText } from './make-record.ts';

const keys = [parseVerifierKey(signer.verifierKey)];

function verified(lines: readonly string[], of: readonly string[] | null = notes) {
  const witness = of === null ? undefined : new Witness(keys);
  of?.reduce<ReturnType<Witness['add']>>((before, note) => witness?.add(note, 'note', before), undefined);
  witness?.close();
  const verification = new SliceVerification(keys, witness);
  for (const [i, line] of lines.entries()) verification.line(parseStrictly(line), `line ${i + 1}`);
  return verification.finish();
}

function saved(t: Test): string {
  const root = t.testdir();
  mkdirSync(join(root, 'witness'));
  writeFileSync(join(root, 'witness', 'checkpoints-2026-11-24.jsonl'), witnessText(notes));
  writeFileSync(join(root, 'slice.jsonl'), fileText(sliceLines(record, signer, { customer: acme, from: 1, to: 4 })));
  writeFileSync(join(root, 'key'), `${signer.verifierKey}\n`);
  return root;
}

const loss = { era: 1, nextEra: 2, fromSize: 3, toSize: 5 };

test('a slice whose window an abandoned era reaches into is not complete, and says so before anything else', (t) => {
  for (const from of [1, null]) {
    const report = verified(sliceLines(record, signer, { customer: acme, from, to: 4 }));
    t.match(report, { verdict: 'incomplete', ok: false, found: 0, lost: [{ ...loss, isInWindow: true }] });
    const text = sliceText(report);
    t.match(text, /LOST: era 1 had sealed up to size 5, era 2 went on from size 3: .*may be among it/);
    t.match(text, /\nNOT COMPLETE: the record lost what it had of the time of this slice/);
    t.notMatch(text, 'GOOD');
    t.ok(text.indexOf('LOST') < text.indexOf('NOT COMPLETE'));
  }
  t.end();
});

test('the twins: a window before the loss, one behind it, and a record that lost nothing', (t) => {
  const at = (position: number): number => record.heads[position]?.at ?? 0;
  const before = { customer: acme, from: null, to: 2 };
  const lateHead = { customer: acme, from: null, to: 4, end: at(2) };
  const behind = { customer: acme, from: 4, to: 5 };
  for (const wanted of [before, lateHead, behind]) {
    const report = verified(sliceLines(record, signer, wanted));
    t.match(report, { verdict: 'good', ok: true, lost: [{ ...loss, isInWindow: false }] }, JSON.stringify(wanted));
    t.match(sliceText(report), /LOST: .*lies outside of that\.\n[\s\S]*GOOD: these are all entries/);
  }
  const without = notes.filter((_, i) => i !== 3 && i !== 4);
  const report = verified(sliceLines(record, signer, { customer: acme, from: 1, to: 4 }), without);
  t.match(report, { verdict: 'good', lost: [] });
  t.notMatch(sliceText(report), 'LOST');
  t.end();
});

test('a window that begins or ends within a minute of the loss counts as one that it reaches into', (t) => {
  const lost = (begin: number | null, end: number): boolean | undefined =>
    verified(sliceLines(record, signer, { customer: acme, from: begin === null ? null : 1, to: 5, begin, end })).lost[0]
      ?.isInWindow;
  const micros = (seconds: number): number => (startMs + seconds * 1000) * 1000;
  const [kept, until] = [earlySeconds, lostSeconds + 5];
  t.equal(lost(null, micros(kept - 60)), false, 'it ends with the minute before what was kept last');
  t.equal(lost(null, micros(kept - 60) + 1), true);
  t.equal(lost(micros(until + 60), micros(until + 90)), true);
  t.equal(lost(micros(until + 60) + 1, micros(until + 90)), false);
  t.end();
});

test('the era of both heads is printed; without a witness also that it cannot tell of a loss', (t) => {
  const lines = sliceLines(record, signer, { customer: acme, from: 1, to: 4 });
  const eras = /at the beginning is proved by a checkpoint of era 1, the one at the end by one of era 2/;
  t.match(sliceText(verified(lines)), eras);
  t.match(verified(lines), { from: { era: 1 }, to: { era: 2 } });
  const blind = verified(lines, null);
  t.match(blind, { verdict: 'good', lost: [] });
  t.match(sliceText(blind), eras);
  t.match(sliceText(blind), 'Era 2: what earlier eras lost is not in it, and only a witness says when');
  t.notMatch(sliceText(verified(lines)), 'only a witness says when');
  const first = verified(sliceLines(record, signer, { customer: acme, from: null, to: 1 }), null);
  t.match(sliceText(first), 'the head at the end is proved by a checkpoint of era 1\n');
  t.end();
});

test('the command ends with 3, and the standing verification says what was lost', async (t) => {
  const root = saved(t);
  const call = (...more: readonly string[]) =>
    spawnSync(process.execPath, ['verifier/ledger-verifier.mjs', 'slice', '--key', join(root, 'key'), ...more], {
      encoding: 'utf8',
    });
  const told = call('--witness', join(root, 'witness'), join(root, 'slice.jsonl'));
  t.equal(told.status, 3);
  t.match(told.stdout, 'LOST: era 1');
  t.equal(call(join(root, 'slice.jsonl')).status, 0, 'the twin, without a witness');

  async function* lines(): AsyncGenerator<string> {
    yield fileText(dumpLines(record));
  }
  const against = {
    keys: [signer.verifierKey],
    witnesses: [join(root, 'witness')],
    archive: null,
    maxAgeSeconds: 0,
  };
  const { found } = await readWhole(against, undefined, lines());
  t.match(found, { verdict: 'good', findings: 0, text: /every entry was read and verifies; LOST: era 1 had sealed/ });
});
