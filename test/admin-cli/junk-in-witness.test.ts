// What the holder of one witness writes into it does not keep `cofferctl ledger verify` from looking at the record: it
// goes on with the checkpoints that are to be believed, names both, and is never good.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { Client } from '../../admin-cli/connection/client.ts';
import { ledgerVerify } from '../../admin-cli/ledger/verify.ts';
import type { Given } from '../../admin-cli/verb/verb.ts';
import { makeRecord, makeSigner, noteFor, witnessText } from '../verifier/make-record.ts';

const signer = makeSigner();
const record = makeRecord(signer);
const file = 'checkpoints-2026-11-24.jsonl';

/** Runs it against two witnesses; the record is as `verdict` says. */
async function verified(t: Test, second: string, verdict: 'good' | 'bad') {
  const root = t.testdir();
  const witnesses = [join(root, 'one'), join(root, 'two')];
  for (const one of witnesses) mkdirSync(one);
  writeFileSync(join(witnesses[0] ?? '', file), witnessText(record.notes));
  writeFileSync(join(witnesses[1] ?? '', file), second);
  const sent: string[] = [];
  const call = async (operation: string, params: { readonly notes?: readonly string[] }): Promise<unknown> => {
    sent.push(...(params.notes ?? []));
    if (operation === 'ledger.status') return { verifierKeys: [signer.verifierKey] };
    if (operation === 'ledger.verify') return { verification: 'one' };
    const findings = verdict === 'good' ? [] : [{ what: 'changed', text: 'entry number 7 was changed' }];
    return { state: 'done', verdict, entries: 770, findings, text: `THE RECORD IS ${verdict}: entry number 7\n` };
  };
  const options = { witness: witnesses.join(','), key: signer.verifierKey, 'max-age': '0' };
  const said = await ledgerVerify.run(
    { call } as unknown as Client,
    { positionals: [], options, isTerminal: false, paths: { witness: '' } } as unknown as Given,
  );
  return { ...said, sent };
}

for (const [what, junk] of [
  ['a line that is no JSON', 'junk\n'],
  ['a JSON text that is no checkpoint', '"junk"\n'],
  ['a checkpoint of a thief', witnessText([noteFor(record, makeSigner(), 3)])],
] as const)
  test(`${what} in one witness`, async (t) => {
    for (const verdict of ['good', 'bad'] as const) {
      const { data, text, isFault, sent } = await verified(t, junk + witnessText(record.notes.slice(0, 2)), verdict);
      t.match(data, { verdict: 'bad', checkpoints: record.notes.length + 2 });
      t.equal(isFault, true);
      t.match(text, /NOT GOOD: 1 finding\n1\. note (?:malformed|forged): .*two\/checkpoints-2026-11-24\.jsonl line 1/);
      t.match(text, `The record itself:\nTHE RECORD IS ${verdict}: entry number 7`);
      t.same(sent, record.notes, 'what is believed is what the gateway is asked about');
      if (verdict === 'bad') t.match(JSON.stringify(data), /note (?:malformed|forged).*entry number 7 was changed/);
    }
  });

test('the twins: no junk is good, and a contradiction of witnesses ends it before the record is read', async (t) => {
  t.match(await verified(t, witnessText(record.notes), 'good'), { data: { verdict: 'good' }, isFault: false });
  const other = noteFor({ ...record, heads: record.heads.toReversed() }, signer, 9);
  const odd = await verified(t, witnessText([other]), 'good');
  t.match(odd, { data: { verdict: 'bad' }, isFault: true, sent: [] });
  t.match(odd.text, /two truths[\s\S]*The record was not read/);
});

test('when nothing is to be believed, the record is not read', async (t) => {
  const root = t.testdir();
  mkdirSync(join(root, 'only'));
  writeFileSync(join(root, 'only', file), 'junk\n');
  const call = async (operation: string): Promise<unknown> => {
    t.equal(operation, 'ledger.status');
    return { verifierKeys: [signer.verifierKey] };
  };
  const options = { witness: join(root, 'only'), key: signer.verifierKey };
  const given = { positionals: [], options, isTerminal: false, paths: { witness: '' } } as unknown as Given;
  const said = await ledgerVerify.run({ call } as unknown as Client, given);
  t.match(said, { data: { verdict: 'bad', checkpoints: 0 }, isFault: true, text: /The record was not read/ });
});
