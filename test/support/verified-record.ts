// Owns: examining a record from outside: a dump by psql, checked by the stand-alone verifier against a witness.
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bounded } from '../../server/domain/bounded.ts';
import { WitnessDirectory } from '../../server/warden/ledger/witness/witness-directory.ts';
import type { Report } from '../../verifier/index.js';
import { project, type World } from './world.ts';

const dump = 'select line from ledger_dump order by part, tree, position;';

export type Checked = { readonly code: number | null; readonly report: Report; readonly err: string };
export type Evidence = { readonly url: string; readonly key: string; readonly witness: string };

/** Returns the newest note in a directory of checkpoints, whoever signed it, or undefined when there is none. */
export const newestNote = async (directory: string): Promise<string | undefined> =>
  (await new WitnessDirectory(directory).newest(undefined)).note;

/** The dump and the verification of the longest record of a test. */
const verifyMs = 300_000;

/**
 * Dumps and verifies as docs/reference/ledger-format.md says. `tamper`: statements that are executed before the dump,
 * by the same login, and undone after it, so that one copy of a database serves many attempts.
 */
export async function verifyRecord(
  evidence: Evidence,
  tamper: readonly string[] = [],
  maxAgeSeconds = 600,
): Promise<Checked> {
  // The witness first, then the dump.
  const witness = mkdtempSync(join(tmpdir(), 'cofferdam-test-witness-'));
  try {
    cpSync(evidence.witness, witness, { recursive: true });
    return await verifyAgainst({ ...evidence, witness }, tamper, maxAgeSeconds);
  } finally {
    rmSync(witness, { recursive: true, force: true });
  }
}

async function verifyAgainst(
  { url, key, witness }: Evidence,
  tamper: readonly string[],
  maxAgeSeconds: number,
): Promise<Checked> {
  const script =
    tamper.length === 0
      ? dump
      : `begin;\nset local session_replication_role = replica;\n${tamper.map((one) => `${one};\n`).join('')}${dump}\nrollback;\n`;
  const psql = spawn('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', '-', url], { stdio: ['pipe', 'pipe', 'pipe'] });
  const verifier = spawn(
    process.execPath,
    [
      join(project, 'verifier', 'ledger-verifier.mjs'),
      'dump',
      ...['--json', '--key', key, '--witness', witness, '--max-age', String(maxAgeSeconds), '-'],
    ],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  let [out, err, dumped] = ['', '', ''];
  psql.stdin.end(script);
  psql.stdout.pipe(verifier.stdin);
  psql.stderr.on('data', (chunk: Buffer) => (dumped += chunk.toString('utf8')));
  verifier.stdin.on('error', () => {});
  verifier.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
  verifier.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
  const codeOf = (child: ChildProcess): Promise<number | null> =>
    bounded(
      verifyMs,
      child === psql ? 'the dump of a record' : 'the verifier of a record',
      new Promise((resolve, reject) => child.once('error', reject).once('close', resolve)),
    );
  try {
    const [status, code] = await Promise.all([codeOf(psql), codeOf(verifier)]);
    if (status !== 0) throw new Error(`psql ended with ${status}: ${dumped}`);
    if (code !== 0 && code !== 1 && code !== 3) throw new Error(`the verifier ended with ${code}: ${err}`);
    return { code, report: JSON.parse(out) as Report, err };
  } finally {
    for (const child of [psql, verifier]) child.kill('SIGKILL');
  }
}

/** The text of a report, for the log of a test that fails. */
export const told = ({ findings }: Report): string => findings.map((one) => one.text).join('\n');

type Status = {
  readonly heads: number;
  readonly witnessedSize: number;
  readonly entries: number;
  readonly verifierKeys: readonly string[];
};

/** Waits until every sealed head has its witness. */
export async function witnessed(
  world: World,
): Promise<{ readonly key: string; readonly heads: number; readonly entries: number }> {
  for (const end = Date.now() + 60_000; ; ) {
    const { heads, entries, witnessedSize, verifierKeys } = await world.cofferctlJson<Status>(['ledger', 'status']);
    if (witnessedSize === heads) return { key: verifierKeys[0] ?? '', heads, entries };
    if (Date.now() > end) throw new Error(`the witness stays at ${witnessedSize} of ${heads} heads`);
  }
}
