// Between full runs, reading of the witnesses continues where it ended. A witness must keep what it has seen, and state
// one root for one size.
import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { test } from 'tap';
import { customers, due, standingWorld } from '../support/standing-world.ts';

const [acme] = customers;
const today = (): string => new Date().toISOString().slice(0, 10);

test('reading continues for a witness that lags, or whose files are compressed', async (t) => {
  const { write, seal, give, fileIn, run, settings } = await standingWorld(t);
  const first = await write(acme, 20);
  writeFileSync(fileIn(0, '2026-01-05'), `${JSON.stringify(first)}\n`);
  t.match(await run(), { verdict: 'good', run: 'full', heads: 1 });
  const again = await seal({ to: [0] });
  await write(acme, 3, [0]);
  t.match(await run(), { verdict: 'good', run: 'since', entries: 3, heads: 2 }, 'one of two has it');
  give(again, [1]);
  await write(acme, 3);
  t.match(
    await run(),
    { verdict: 'good', run: 'since', entries: 3, heads: 3 },
    'the other witness now shows a checkpoint that was verified before',
  );

  for (const day of ['2026-01-05', today()]) {
    writeFileSync(`${fileIn(0, day)}.gz`, gzipSync(readFileSync(fileIn(0, day))));
    t.match(await run(), { verdict: 'good', run: 'since' }, 'the plain file and the compressed one are both there');
    rmSync(fileIn(0, day));
    t.match(await run(), { verdict: 'good', run: 'since' }, 'only the compressed file is there');
  }
  // Only files of past days are compressed; today's file is still being written.
  writeFileSync(fileIn(0, today()), gunzipSync(readFileSync(`${fileIn(0, today())}.gz`)));
  rmSync(`${fileIn(0, today())}.gz`);
  t.match(await run(due), { verdict: 'good', run: 'full' });

  const aside = await write(acme, 2, []);
  await write(acme, 2);
  t.match(await run(), { verdict: 'good', run: 'since', entries: 4 });
  give(aside, [0]);
  t.match(
    await run(),
    { verdict: 'good', run: 'full', why: /one more checkpoint of size 4/ },
    'an older checkpoint that the last run had not seen appears: everything is read',
  );
  t.match(await run(), { verdict: 'good', run: 'since' });
  writeFileSync(join(settings.witnesses[0] ?? '', 'checkpoints-2025-12-31.jsonl'), '');
  t.match(await run(), {
    verdict: 'good',
    run: 'full',
    why: /a file of 2025-12-31 that the last good run did not see/,
  });
  t.match(await run(), { verdict: 'good', run: 'since' });
  t.end();
});

test('a witness that lost something is bad until it has it again, or the state of the verifier is removed', async (t) => {
  const { write, fileIn, run, settings } = await standingWorld(t);
  const first = await write(acme, 20);
  for (const day of ['2026-01-05', '2026-01-06', '2026-01-07'])
    writeFileSync(fileIn(0, day), `${JSON.stringify(first)}\n`);
  await write(acme, 5);
  t.match(await run(), { verdict: 'good', run: 'full' });
  renameSync(fileIn(0, '2026-01-05'), `${fileIn(0, '2026-01-05')}.away`);
  t.match(await run(), {
    verdict: 'bad',
    run: 'since',
    text: /its file of 2026-01-05 is gone: it was there when this verifier read it last/,
  });
  t.match(await run(), { verdict: 'bad', run: 'full', text: /its file of 2026-01-05 is gone/ });
  renameSync(`${fileIn(0, '2026-01-05')}.away`, fileIn(0, '2026-01-05'));
  t.match(await run(), { verdict: 'good', run: 'full' });

  const file = fileIn(1, today());
  const whole = readFileSync(file);
  truncateSync(file, whole.indexOf(10) + 1);
  t.match(await run(), { verdict: 'bad', run: 'since', text: /it is shorter, or its earlier content changed/ });
  writeFileSync(file, whole);
  t.match(await run(), { verdict: 'good', run: 'full' });
  const lines = whole.toString('utf8').trimEnd().split('\n');
  writeFileSync(file, `${lines.toReversed().join('\n')}\n`);
  t.match(
    await run(),
    { verdict: 'bad', run: 'since', text: /it is shorter, or its earlier content changed/ },
    'same length, different content',
  );
  writeFileSync(file, whole.subarray(0, whole.indexOf(10) + 1));
  t.match(await run(), { verdict: 'bad', run: 'full' });
  rmSync(settings.state ?? '');
  t.match(await run(), { verdict: 'good', run: 'full', why: /there is no state yet/ });
  t.end();
});

test('one key that signed two roots: of an older accepted size, of the newest, and of a larger one', async (t) => {
  const { write, give, run, signing, fileIn, settings } = await standingWorld(t);
  await write(acme, 20);
  const second = await write(acme, 20);
  await write(acme, 20);
  const file = fileIn(0, today());
  const clean = readFileSync(file);
  const { signer } = signing;
  const other = (note: string, size?: number): string => {
    const said = signer.open(note);
    return signer.sign({ ...said, size: size ?? said.size, root: Buffer.alloc(32, 7).toString('base64') });
  };
  const third = await write(acme, 1);
  const known = readFileSync(file);
  t.ok(known.length > clean.length);
  t.match(await run(), { verdict: 'good', run: 'full', heads: 4 });
  for (const [note, text] of [
    [other(second), /two different checkpoints of size 2/],
    [other(third), /two different checkpoints of size 4/],
    [other(third, 5), /is not what the witness saw \(checkpoint of size 5|behind the witness/],
  ] as const) {
    give(note, [0]);
    t.match(await run(), { verdict: 'bad', run: 'since', text });
    t.match(await run(), { verdict: 'bad', run: 'full' });
    writeFileSync(file, known);
    t.match(await run(), { verdict: 'good', run: 'full', why: /ended bad/ });
  }
  t.match(await run(), { verdict: 'good', run: 'since' });
  t.match(await run({ keys: [...settings.keys, signer.verifierKey] }), {
    run: 'full',
    why: /was written with other verifier keys/,
  });
  t.end();
});

test('a new era is read completely', async (t) => {
  const { write, seal, run, tamper } = await standingWorld(t);
  await write(acme, 20);
  t.match(await run(), { verdict: 'good', run: 'full' });
  await tamper('update ledger_state set era = era + 1');
  await seal();
  await write(acme, 2);
  t.match(await run(), {
    verdict: 'good',
    run: 'full',
    why: /a checkpoint of era 2, and the last good run was of era 1/,
  });
  await write(acme, 2);
  t.match(await run(), { verdict: 'good', run: 'since', entries: 2 });
  t.end();
});
