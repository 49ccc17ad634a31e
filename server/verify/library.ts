// Owns: the one place where the standing verification meets the stand-alone verifier.
// Must never: know a rule of the record. The verifier says what is good.
import { Readable } from 'node:stream';
import { parseVerifierKey, verifyRecord } from '../../verifier/index.js';

export type Verdict = {
  readonly verdict: 'good' | 'bad' | 'incomplete' | 'failed';
  readonly heads: number;
  readonly entries: number;
  readonly findings: number;
  readonly text: string;
};
export type Against = {
  readonly keys: readonly string[];
  readonly witnesses: readonly string[];
  readonly archive: string | null;
  readonly maxAgeSeconds: number;
};

/** Throws when a witness, an archive or the database cannot be read. */
export async function verifyLines({ keys, witnesses, archive, maxAgeSeconds }: Against, lines: AsyncIterable<string>): Promise<Verdict> {
  const report = await verifyRecord({
    keys: keys.map(parseVerifierKey),
    witnesses,
    archive: archive ?? undefined,
    maxAgeSeconds,
    dump: Readable.from(lines),
    now: Date.now(),
  });
  const [first] = report.findings;
  const { verdict } = report;
  return {
    verdict,
    heads: report.newest?.size ?? 0,
    entries: report.entries,
    findings: report.findings.length,
    text:
      first?.text ?? (verdict === 'good' ? 'every entry was read and fits' : `what was read fits; not read: ${report.notRead.join('; ')}`),
  };
}
