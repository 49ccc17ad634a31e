// Owns: the one place where the standing verification meets the stand-alone verifier.
// Must never: know a rule of the record. The verifier says what is good.
import { Readable } from 'node:stream';
import { parseVerifierKey, verifyRecord } from '../../verifier/ledger-verifier.ts';

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
  const isRead = report.archived === 0 && report.newest !== null;
  return {
    verdict: !report.ok ? 'bad' : isRead ? 'good' : 'incomplete',
    heads: report.newest?.size ?? 0,
    entries: report.entries,
    findings: report.findings.length,
    text: first === undefined ? (isRead ? 'every entry was read and fits' : 'what was read fits; not everything was read') : first.text,
  };
}
