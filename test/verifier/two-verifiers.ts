// Owns: giving the same cases to both verifiers, ours and the one in Python, and comparing their verdicts.
// Must never: let one of them see what the other said.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { bounded } from '../../server/domain/bounded.ts';
import { parseVerifierKey, verifyRecord, verifySlice } from '../../verifier/index.js';
import { type Case, casesOf } from './cases.ts';
import { startMs } from './make-record.ts';

const answerMs = 120_000;

/** The other verifier, which is asked one case after the other. */
export class Second {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor() {
    const child = spawn('python3', [join(import.meta.dirname, 'second.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.on('error', () => {});
    this.#child = child;
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  async ask({ keys, witness, dump, archives = {}, slice }: Case): Promise<string> {
    const base64 = (text: string | Buffer): string => Buffer.from(text).toString('base64');
    const files = witness?.map(base64) ?? null;
    const packed = Object.fromEntries(Object.entries(archives).map(([name, bytes]) => [name, base64(bytes)]));
    const question =
      slice === undefined
        ? { keys, witness: files, dump: base64(dump ?? ''), archives: packed }
        : { keys, witness: files, slice: base64(slice) };
    this.#child.stdin?.write(`${JSON.stringify(question)}\n`);
    const answer = await bounded(answerMs, 'the second verifier', this.#answers.next());
    if (answer.done === true) throw new Error('the second verifier ended');
    return String(JSON.parse(answer.value));
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Our verdict on a case, from its files. */
export async function firstOf({
  keys: texts,
  witness,
  dump,
  archives = {},
  slice,
}: Case): Promise<{ verdict: string; found: readonly string[] }> {
  const root = mkdtempSync(join(tmpdir(), 'cofferdam-test-case-'));
  try {
    const keys = texts.map(parseVerifierKey);
    const witnesses = (witness ?? []).map((text, i) => {
      const directory = join(root, `witness-${i}`);
      mkdirSync(directory);
      writeFileSync(join(directory, 'checkpoints-2026-11-24.jsonl'), text);
      return directory;
    });
    const file = join(root, 'file.jsonl');
    writeFileSync(file, slice ?? dump ?? '');
    const archive = join(root, 'archive');
    mkdirSync(archive);
    for (const [name, bytes] of Object.entries(archives)) writeFileSync(join(archive, name), bytes);
    const report =
      slice === undefined
        ? await verifyRecord({ keys, witnesses, archive, maxAgeSeconds: 0, dump: file, now: startMs })
        : await verifySlice({ keys, witnesses, slice: file });
    return { verdict: report.verdict, found: report.findings.map(({ what, text }) => `${what}: ${text}`) };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

export type Agreement = {
  readonly cases: number;
  readonly byVerdict: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
};

/**
 * Returns whether both say the same about the cases of this many records, and the right thing about those that nobody
 * altered.
 */
export async function agree(
  from: number,
  records: number,
  tell: (line: string) => void = () => {},
): Promise<Agreement> {
  const second = new Second();
  const byVerdict: Record<string, number> = {};
  const faults: string[] = [];
  let cases = 0;
  try {
    for (let number = from; number < from + records && faults.length < 20; number += 1) {
      for (const one of casesOf(number)) {
        cases += 1;
        const [first, answer] = await Promise.all([firstOf(one), second.ask(one)]);
        byVerdict[first.verdict] = (byVerdict[first.verdict] ?? 0) + 1;
        if (first.verdict !== answer.replace(/:.*$/s, ''))
          faults.push(
            `${one.name}: ${first.verdict} (${first.found.slice(0, 2).join(' | ')}), and the second says ${answer}`,
          );
        if (one.expected !== undefined && one.expected !== first.verdict)
          faults.push(
            `${one.name}: ${first.verdict} instead of ${one.expected} (${first.found.slice(0, 2).join(' | ')})`,
          );
      }
      if ((number - from + 1) % 25 === 0) tell(`${cases} cases, ${faults.length} faults`);
    }
  } finally {
    second.stop();
  }
  return { cases, byVerdict, faults };
}
