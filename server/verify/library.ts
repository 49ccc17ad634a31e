// Owns: the one place where the standing verification (`cofferdam verify`) calls the stand-alone verifier.
// Must never: have a rule of the record of its own. Only the verifier says what is good.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  type Base,
  firstToName,
  type Known,
  lossText,
  parseVerifierKey,
  proveKnown,
  type Report,
  verifySince,
  verifyWhole,
} from '../../verifier/index.js';
import type { ReadPosition } from './record-lines.ts';

export type { Base, Known };

/** What a run verifies against. `keys` are verifier keys; `witnesses` and `archive` are directories. */
type Against = {
  readonly keys: readonly string[];
  readonly witnesses: readonly string[];
  readonly archive: string | null;
  readonly maxAgeSeconds: number;
};
export type Found = {
  readonly verdict: 'good' | 'bad' | 'incomplete' | 'failed';
  readonly heads: number;
  readonly entries: number;
  readonly findings: number;
  readonly text: string;
};
/** `known` is what the next run can go on from; undefined when it left nothing to go on from. */
export type Done = { readonly found: Found; readonly known: Known | undefined };

/**
 * Returns the SHA-256 of the files of this verifier, in hexadecimal. What a verifier with another hash has proved is
 * not relied on; a run reads it anew.
 */
export function libraryHash(): string {
  const folder = join(import.meta.dirname, '..', '..', 'verifier');
  const hash = createHash('sha256');
  for (const name of readdirSync(folder).sort())
    if (name.endsWith('.js')) hash.update(`${name}\n`).update(readFileSync(join(folder, name)));
  return hash.digest('hex');
}

/**
 * Returns what an earlier run left, proved anew; or a sentence that says why it is not used: it does not agree with its
 * own checkpoint, or none of these keys has signed that checkpoint.
 */
export const prove = (known: unknown, keys: readonly string[]): Base | string =>
  proveKnown(known, keys.map(parseVerifierKey));

/** Returns where the earlier run ended. */
export const positionOf = ({ head, trees }: Base): ReadPosition => ({
  head: head.position,
  sizes: new Map([...trees].map(([tree, frontier]) => [tree, frontier.size])),
});

function foundOf({ verdict, newest, entries, firstRow, findings, notRead, lost }: Report, good: string): Found {
  const losses = lost.map((loss) => `LOST: ${lossText(loss)}`);
  const verified = verdict === 'good' ? good : `what was read verifies; not read: ${notRead.join('; ')}`;
  return {
    verdict,
    heads: newest?.size ?? 0,
    entries,
    findings: findings.length,
    text: firstToName({ firstRow, findings })?.text ?? [verified, ...losses].join('; '),
  };
}

/**
 * Verifies the whole record, and compares it with what an earlier run proved (`base`). Throws when a witness, an
 * archive or the database cannot be read.
 */
export async function readWhole(against: Against, base: Base | undefined, lines: AsyncIterable<string>): Promise<Done> {
  const { report, known } = await verifyWhole({
    ...optionsOf(against),
    archive: against.archive ?? undefined,
    dump: Readable.from(lines),
    base,
  });
  return { found: foundOf(report, 'every entry was read and verifies'), known };
}

/**
 * Verifies what was sealed since an earlier run. Returns a sentence that says why when only a run over the whole record
 * can tell. Throws when a witness or the database cannot be read.
 */
export async function readSince(
  against: Against,
  base: Base,
  lines: (position: ReadPosition) => AsyncIterable<string>,
): Promise<Done | string> {
  const done = await verifySince({ ...optionsOf(against), base, dump: () => Readable.from(lines(positionOf(base))) });
  if (typeof done === 'string') return done;
  const text = `what was sealed after head ${base.head.position} was read and verifies`;
  return { found: foundOf(done.report, text), known: done.known };
}

const optionsOf = ({ keys, witnesses, maxAgeSeconds }: Against) => ({
  keys: keys.map(parseVerifierKey),
  witnesses,
  maxAgeSeconds,
  now: Date.now(),
});
