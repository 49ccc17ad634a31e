// Owns: the one place where the standing verification meets the stand-alone verifier.
// Must never: know a rule of the record. The verifier says what is good.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type Base, type Known, parseVerifierKey, proveKnown, type Report, verifySince, verifyWhole } from '../../verifier/index.js';
import type { Place } from './record-lines.ts';

export type { Base, Known };
export type Against = {
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
/** `known`: what the next run can go on from. `covered`: what the newest checkpoint covers, when everything up to it was read and fits. */
export type Done = { readonly found: Found; readonly known: Known | undefined };

/** What tells this verifier from another version of it: what one believed, the other reads anew. */
export function libraryHash(): string {
  const folder = join(import.meta.dirname, '..', '..', 'verifier');
  const hash = createHash('sha256');
  for (const name of readdirSync(folder).sort())
    if (name.endsWith('.js')) hash.update(`${name}\n`).update(readFileSync(join(folder, name)));
  return hash.digest('hex');
}

/** A sentence when it does not fit its own checkpoint, or none of these keys has signed that. */
export const prove = (known: unknown, keys: readonly string[]): Base | string => proveKnown(known, keys.map(parseVerifierKey));

export const placeOf = ({ head, trees }: Base): Place => ({
  head: head.position,
  sizes: new Map([...trees].map(([tree, frontier]) => [tree, frontier.size])),
});

const foundOf = ({ verdict, newest, entries, findings, notRead }: Report, good: string): Found => ({
  verdict,
  heads: newest?.size ?? 0,
  entries,
  findings: findings.length,
  text: findings[0]?.text ?? (verdict === 'good' ? good : `what was read fits; not read: ${notRead.join('; ')}`),
});

/** Reads everything; what an earlier run proved is compared with it. Throws when a witness, an archive or the database cannot be read. */
export async function readWhole(against: Against, base: Base | undefined, lines: AsyncIterable<string>): Promise<Done> {
  const { report, known } = await verifyWhole({
    ...optionsOf(against),
    archive: against.archive ?? undefined,
    dump: Readable.from(lines),
    base,
  });
  return { found: foundOf(report, 'every entry was read and fits'), known };
}

/** Reads what was sealed since; the answer is a sentence when only a run that reads everything can tell. Throws as the other. */
export async function readSince(against: Against, base: Base, lines: (place: Place) => AsyncIterable<string>): Promise<Done | string> {
  const done = await verifySince({ ...optionsOf(against), base, dump: () => Readable.from(lines(placeOf(base))) });
  if (typeof done === 'string') return done;
  const text = `what was sealed behind head ${base.head.position} was read and fits`;
  return { found: foundOf(done.report, text), known: done.known };
}

const optionsOf = ({ keys, witnesses, maxAgeSeconds }: Against) => ({
  keys: keys.map(parseVerifierKey),
  witnesses,
  maxAgeSeconds,
  now: Date.now(),
});
