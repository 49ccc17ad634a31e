// The state that a verifier keeps for its next run belongs to its keys, its witnesses, its version and its user, and is
// complete. With anything else, the next run is a full one and says why.
import { createHash, generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { Memory } from '../../server/verify/memory.ts';
import { verifyOnce } from '../../server/verify/verify.ts';
import { checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';
import { customers, due, standingWorld } from '../support/standing-world.ts';

const [acme] = customers;

test("a state that is not this verifier's own is not used, and the verdict says why", async (t) => {
  const { write, run, settings, signing, directory } = await standingWorld(t);
  const path = settings.state ?? '';
  await write(acme, 300);
  t.match(await run(), { verdict: 'good', run: 'full', why: /there is no state yet/ });
  const good = readFileSync(path);
  await write(acme, 1);
  const { keys, witnesses, full, library, known } = JSON.parse(good.toString('utf8').slice(65));
  const put = (bytes: Buffer | string): void => writeFileSync(path, bytes, { mode: 0o600 });
  const written = (value: unknown): void => {
    const body = JSON.stringify(value);
    writeFileSync(path, `${createHash('sha256').update(body).digest('hex')}\n${body}`, { mode: 0o600 });
  };
  const state = { format: 2, library, keys, witnesses, full, last: full, due: null, known };
  written(state);
  t.match(await run(), { verdict: 'good', run: 'since', entries: 1 }, 'the same, written by this test, is used');
  const other = checkpointSigner(generateKeyPairSync('ed25519').privateKey, signing.origin).verifierKey;
  const [first, ...more] = known.trees;
  const cases: readonly (readonly [() => void, RegExp])[] = [
    [() => put(good.subarray(0, good.length - 7)), /is damaged: its checksum is wrong/],
    [() => put(''), /is damaged/],
    [() => put(good.toString('utf8').replace('"number":300', '"number":301')), /is damaged/],
    [() => written({ ...state, format: 1 }), /has another format/],
    [() => written({ ...state, library: 'f'.repeat(64) }), /was written by another version of the verifier/],
    [() => written({ ...state, keys: [other] }), /was written with other verifier keys/],
    [() => written({ ...state, witnesses: [directory] }), /was written with other witnesses/],
    [
      () => written({ ...state, known: { ...known, trees: more } }),
      /not used: what was kept is not what its own checkpoint covers/,
    ],
    [
      () =>
        written({ ...state, known: { ...known, trees: [[first[0], first[1], first[2].replace(/^./, 'x')], ...more] } }),
      /not used/,
    ],
    [
      () => written({ ...state, full: { ...full, at: '2199-01-01T00:00:00.000Z' } }),
      /the clock of this machine shows a time before/,
    ],
    [() => written({ ...state, due: { at: full.at, why: 'a run was not good' } }), /a run was not good/],
    [
      () => {
        put(good);
        chmodSync(path, 0o640);
      },
      /is not for this user only \(mode 640/,
    ],
  ];
  for (const [make, why] of cases) {
    rmSync(path);
    make();
    t.match(await run(), { verdict: 'good', run: 'full', why, entries: 301 });
  }
  rmSync(path);
  writeFileSync(join(directory, 'elsewhere'), good, { mode: 0o600 });
  symlinkSync(join(directory, 'elsewhere'), path);
  t.match(await run(), { verdict: 'good', run: 'full', why: /cannot be read/ }, 'a link is not followed');
  t.match(await run(), { verdict: 'good', run: 'since' }, 'and was replaced by the file');
  t.same(readFileSync(join(directory, 'elsewhere')), good);
  t.end();
});

test('in memory only, each process begins with a full run; a state that cannot be written means full runs, and never less', async (t) => {
  const { write, auditor, settings, run, directory } = await standingWorld(t);
  await write(acme, 20);
  const given = { ...settings, state: null };
  const memory = new Memory(given);
  t.match(await verifyOnce(auditor, given, memory), {
    verdict: 'good',
    run: 'full',
    why: /this process has verified nothing yet/,
  });
  await write(acme, 2);
  t.match(await verifyOnce(auditor, given, memory), { verdict: 'good', run: 'since', entries: 2 });
  t.match(await verifyOnce(auditor, given, new Memory(given)), { verdict: 'good', run: 'full', entries: 22 });
  t.notOk(existsSync(settings.state ?? ''));

  const nowhere = join(directory, 'nowhere', 'state');
  t.match(await run({ state: nowhere }), { verdict: 'good', run: 'full' });
  t.match(await run({ state: nowhere }), { verdict: 'good', run: 'full' });
  mkdirSync(join(directory, 'nowhere'));
  t.match(await run({ state: nowhere }), { verdict: 'good', run: 'full' });
  t.match(await run({ state: nowhere }), { verdict: 'good', run: 'since' });
  t.match(await run({ state: nowhere, witnesses: [join(directory, 'gone')] }), { verdict: 'failed', run: 'full' });
  t.match(await run({ state: nowhere, ...due }), { verdict: 'good', run: 'full' });
  t.end();
});

test('a run that could not verify makes the next one read everything, after a restart too', async (t) => {
  const { write, run, witnesses } = await standingWorld(t);
  await write(acme, 20);
  t.match(await run(), { verdict: 'good', run: 'full' });
  t.match(await run(), { verdict: 'good', run: 'since' });
  const [witness = ''] = witnesses;
  renameSync(witness, `${witness}.away`);
  t.match(await run(), { verdict: 'failed', run: 'since', text: /nothing was verified/ });
  renameSync(`${witness}.away`, witness);
  t.match(await run(), { verdict: 'good', run: 'full', why: /ended failed/ });
  t.match(await run(), { verdict: 'good', run: 'since' });
  t.end();
});
