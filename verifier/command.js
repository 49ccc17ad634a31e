// Owns: the command line: arguments, exit codes, text or JSON.
// Must never: end with 0 when nothing was verified. Not even --help does, because it verifies nothing.
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { messageOf } from './json.js';
import { hasKeyForm, parseVerifierKey, requireOneInstallation } from './note.js';
import { jsonText, recordText, sliceText } from './report.js';
import { verifyRecord, verifySlice } from './verify.js';

/** @typedef {import('./lines.js').Readable} Readable */

const usage = `usage:
  node ledger-verifier.mjs dump --key VKEY|FILE --witness DIR [--archive DIR] [--max-age SECONDS] [--json] DUMP|-
  node ledger-verifier.mjs slice --key VKEY|FILE [--witness DIR] [--since TIME] [--until TIME] [--json] SLICE|-

  --key      verifier key (name+id+base64), or a file with one on each line; again for every key that was ever used.
             A retired key has its end behind it, VKEY@ERA:SIZE: the last checkpoint that it signed. Later ones by it are not believed
  --witness  directory of checkpoints; again for every witness
  --archive  directory of ledger-YYYY-MM.jsonl.gz
  --max-age  how old the newest checkpoint may be, in seconds (600; 0: any age)
  --since    the slice has to be made for a window that begins then or before (UTC: 2026-11-24T18:00:00Z), and enclose it
  --until    for a window that reaches to this time
  --json     one line for programs

Copy the witness first, then dump: a witness that is newer than the dump makes the database look as if it had lost what came between.

Exit code:
  0  complete and good: every position up to the newest checkpoint was read and fits
  1  findings
  2  wrong usage (or --help), or something could not be read: nothing was verified
  3  nothing bad was found, and not everything was read: archives that were not given or whose retention has ended, or no checkpoint.
     Of a slice: the record lost entries of that time with an era that was abandoned (LOST)
`;

const exitCodes = /** @type {const} */ ({ good: 0, bad: 1, incomplete: 3 });
const nothingVerified = 2;

class UsageError extends Error {}

/** @param {string} path */
function keysInFile(path) {
  if (!existsSync(path))
    throw new UsageError(`--key: there is no file ${path}, and it has not the form of a key (name+id+base64)`);
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.map((line) => line.trim()).filter((line) => line !== '');
}

/** @param {readonly string[]} given */
function keysOf(given) {
  const keys = given.flatMap((one) => (hasKeyForm(one) ? [one] : keysInFile(one))).map(parseVerifierKey);
  if (keys.length === 0) throw new UsageError('--key is missing: without it nothing can be believed');
  try {
    requireOneInstallation(keys);
  } catch (cause) {
    throw new UsageError(messageOf(cause));
  }
  return keys;
}

/** @param {readonly import('./note.js').VerifierKey[]} keys */
const namesOf = (keys) => [...new Set(keys.map(({ name, id }) => `${name}+${id}`))];

/** @param {readonly import('./note.js').VerifierKey[]} keys */
const believedText = (keys) =>
  `Believed: whatever was signed with ${namesOf(keys).join(' or ')}. Compare that with the key that you were given when the contract began.\n`;

/**
 * Returns an instant of an option in microseconds since 1970, or undefined when it was not given.
 * @param {string | undefined} text
 * @param {string} option
 */
function microsOf(text, option) {
  if (text === undefined) return undefined;
  const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/.test(text) ? Date.parse(text) : Number.NaN;
  // A day that a month does not have would be taken for one of the next month.
  if (Number.isNaN(instant) || new Date(instant).toISOString().slice(0, 10) !== text.slice(0, 10))
    throw new UsageError(`--${option} takes an instant in UTC, such as 2026-11-24T18:00:00Z`);
  return instant * 1000;
}

/** @param {readonly string[]} args */
function parseCommand(args) {
  const options = /** @type {const} */ ({
    key: { type: 'string', multiple: true },
    witness: { type: 'string', multiple: true },
    archive: { type: 'string' },
    'max-age': { type: 'string' },
    since: { type: 'string' },
    until: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  });
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new UsageError(messageOf(cause));
  }
}

/**
 * Does what the arguments say.
 * @param {readonly string[]} args
 * @param {Readable} stdin
 * @param {number} now Milliseconds since 1970.
 * @returns {Promise<{ readonly code: number, readonly text: string }>}
 */
async function run(args, stdin, now) {
  const { values, positionals } = parseCommand(args);
  if (values.help === true) return { code: nothingVerified, text: usage };
  const [command, path, ...more] = positionals;
  if ((command !== 'dump' && command !== 'slice') || path === undefined || more.length > 0)
    throw new UsageError('say dump or slice, then one file (or - for standard input)');
  const keys = keysOf(values.key ?? []);
  const witnesses = values.witness ?? [];
  const input = path === '-' ? stdin : path;
  if (command === 'slice') {
    if (values.archive !== undefined || values['max-age'] !== undefined)
      throw new UsageError('--archive and --max-age belong to dump');
    const [since, until] = [microsOf(values.since, 'since'), microsOf(values.until, 'until')];
    const report = await verifySlice({ keys, witnesses, slice: input, since, until });
    return {
      code: exitCodes[report.verdict],
      text:
        values.json === true ? jsonText({ ...report, keys: namesOf(keys) }) : believedText(keys) + sliceText(report),
    };
  }
  if (values.since !== undefined || values.until !== undefined)
    throw new UsageError('--since and --until belong to slice');
  const maxAge = values['max-age'] ?? '600';
  if (!/^\d{1,9}$/.test(maxAge)) throw new UsageError('--max-age takes seconds');
  if (witnesses.length === 0)
    throw new UsageError('--witness is missing: a record proves nothing against the owner of its database without it');
  const report = await verifyRecord({
    keys,
    witnesses,
    archive: values.archive,
    maxAgeSeconds: Number(maxAge),
    dump: input,
    now,
  });
  return {
    code: exitCodes[report.verdict],
    text:
      values.json === true
        ? jsonText({ ...report, keys: namesOf(keys) })
        : recordText(report, Number(maxAge)) + believedText(keys),
  };
}

/**
 * The command of this process. It always runs: it does not ask whether this file is the one that was started, so it
 * cannot get a wrong answer.
 */
export async function main() {
  // Whatever ends this process before its verdict ends it as one that verified nothing.
  process.exitCode = nothingVerified;
  try {
    const { code, text } = await run(process.argv.slice(2), process.stdin, Date.now());
    await new Promise((resolve, reject) =>
      process.stdout.write(text, (cause) => (cause ? reject(cause) : resolve(undefined))),
    );
    process.exitCode = code;
  } catch (cause) {
    process.stderr.write(`nothing was verified: ${messageOf(cause)}\n${cause instanceof UsageError ? usage : ''}`);
    process.exitCode = nothingVerified;
  }
}
