// A slice that the gateway gives verifies, and the record lost entries of its window with an era that was abandoned:
// whoever writes a letter by it is told.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import type { Client } from '../../admin-cli/connection/client.ts';
import { saveSlice } from '../../admin-cli/incident/folder.ts';
import { notes, record, signer } from '../verifier/lost-record.ts';
import { acme, sliceLines, witnessText } from '../verifier/make-record.ts';

test('what was lost of the window is with the slice; the twin, of another window, has nothing of it', async (t) => {
  const root = t.testdir();
  mkdirSync(join(root, 'witness'));
  writeFileSync(join(root, 'witness', 'checkpoints-2026-11-24.jsonl'), witnessText(notes));
  const saved = async (name: string, from: number | null, to: number) => {
    const rows = sliceLines(record, signer, { customer: acme, from, to }).map((line): unknown => JSON.parse(line));
    const { begin, end } = (rows[0] as { slice: { begin: number | null; end: number } }).slice;
    const instant = (micros: number): string => new Date(micros / 1000).toISOString();
    const call = async (operation: string): Promise<unknown> =>
      operation === 'incident.slice' ? { rows, next: null } : { proof: null };
    const window = { since: begin === null ? null : instant(begin), until: instant(end) };
    return saveSlice({ call } as unknown as Client, 'scope', { customer: 'acme', customerId: acme }, join(root, name), {
      keys: [signer.verifierKey],
      witnesses: [join(root, 'witness')],
      window,
    });
  };
  const lost = [
    /^The record lost entries of that time, and of those nothing can be said: era 1 had sealed up to size 5/,
  ];
  t.match(await saved('within', 1, 4), { says: 'not-affected', lost });
  t.strictSame((await saved('before', null, 1))?.lost, []);
  t.strictSame((await saved('behind', 4, 5))?.lost, []);
});
