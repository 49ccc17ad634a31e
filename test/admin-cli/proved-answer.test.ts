// An answer counts as proved only by heads that lead to a checkpoint which a given key has signed and the witness has.
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { provedText, requireProved } from '../../admin-cli/incident/proved-answer.ts';
import { originOf } from '../../server/domain/ledger/checkpoint.ts';
import type { IncidentSummary, ProvedRecord } from '../../server/rpc/operators/incident.ts';
import { checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';
import { leafHash, nodeHash } from '../../verifier/index.js';
import { temporaryDirectory } from '../support/database.ts';

const origin = originOf('6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11');
const signer = checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin);
const hash = Buffer.alloc(32, 7).toString('base64');
const day = Date.UTC(2026, 10, 24) * 1000;
const textOf = (position: number, at: number): string =>
  `cofferdam ledger head/2\n${position}\n${at}\n${hash}\n${hash}\n`;
const [first, second] = [textOf(0, day), textOf(1, day + 1)];
const leaf = (text: string): Buffer => leafHash(Buffer.from(text));
const root = nodeHash(leaf(first), leaf(second));
const note = (by = signer, of = root): string =>
  by.sign({ origin, size: 2, root: of.toString('base64'), era: 1, time: '2026-11-24T00:00:01.000Z' });
const proved: ProvedRecord = {
  entries: 1000,
  trees: 3,
  archived: 0,
  checkpoint: note(),
  head: { position: 1, text: second, proof: [leaf(first).toString('base64')] },
  from: { position: 0, text: first, proof: [leaf(second).toString('base64')] },
  tookMs: 500,
};
const since = new Date(day / 1000).toISOString();
const summaryOf = (more: Partial<ProvedRecord> | null, begin: string | null = since): IncidentSummary =>
  ({
    proved: more === null ? null : { ...proved, ...more },
    window: { since: begin, until: since },
    record: { unsealed: 2 },
  }) as IncidentSummary;
const window = { since: null, until: since };

test('an answer passes by its heads, and says what was proved', async (t) => {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'witness'));
  writeFileSync(join(directory, 'witness', 'checkpoints-2026-11-24.jsonl'), `${JSON.stringify(note())}\n`);
  const checking = { keys: [signer.verifierKey], witnesses: [] as string[], window };
  const witnessed = { ...checking, witnesses: [join(directory, 'witness')] };
  await requireProved(summaryOf({}), checking);
  await requireProved(summaryOf({}), witnessed);
  await requireProved(summaryOf({ from: null }, null), witnessed);
  t.match(provedText(summaryOf({})), /1,?000 entries of 3 trees, all that were sealed after head 0, lead to head 1/);
  t.match(provedText(summaryOf({})), /\(0\.5 s, 2,?000 a second\)\. 2 had no seal yet/);
  t.match(provedText(summaryOf({ from: null, archived: 5 })), /from the first one on.*5 more are in archives/);
  t.match(provedText(summaryOf(null)), /^Not proved: .*`incident pack` and `incident assure` prove it/);

  const stranger = checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin);
  const elsewhere = note(signer, leaf(first));
  const faults: readonly (readonly [string, IncidentSummary, RegExp])[] = [
    ['nobody proved it', summaryOf(null), /nobody proved it/],
    ['a key of the database owner', summaryOf({ checkpoint: note(stranger) }), /not to be believed: no given key/],
    ['no checkpoint', summaryOf({ checkpoint: 'x' }), /is no checkpoint/],
    ['another record of that size', summaryOf({ checkpoint: elsewhere }), /not in the witness/],
    ['another head', summaryOf({ head: { ...proved.head, text: textOf(1, day + 2) } }), /head 1 does not lead/],
    ['another place', summaryOf({ head: { ...proved.head, position: 0 } }), /head 0 does not lead/],
    ['a proof that is cut', summaryOf({ head: { ...proved.head, proof: ['x'] } }), /head 1 does not lead/],
    ['another beginning', summaryOf({ from: { ...proved.head, position: 0 } }), /head 0 does not lead/],
    ['a beginning inside the window', summaryOf({ from: proved.head }), /begins after the window/],
    ['a beginning, and no window', summaryOf({}, null), /begins after the window/],
  ];
  for (const [what, summary, text] of faults)
    await t.rejects(requireProved(summary, witnessed), { code: 'corrupt', message: text }, what);
});
