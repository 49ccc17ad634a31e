// Owns: `cofferctl ledger verify`.
import { existsSync } from 'node:fs';
import { CofferdamError } from '../../server/domain/errors.ts';
import { notesPerCallMax } from '../../server/rpc/operators/ledger.ts';
import {
  isJunk,
  type Note,
  parseVerifierKey,
  readWitness,
  recordFindingsText,
  type Witness,
} from '../../verifier/index.js';
import { plain } from '../terminal/output.ts';
import { type Verb, wholeNumber } from '../verb/verb.ts';
import { DistinctNotes, keysOf, witnessesOf } from './witness.ts';

const pollMs = 250;
const maxAgeUsual = 600;
const whose =
  'This is the verdict of the gateway\u2019s own admin process, which read the record: whoever has taken that process can have it say anything. For one that trusts nothing of the gateway: `cofferdam verify` from another host, or verifier/ledger-verifier.mjs over a dump.\n';

/** Reads and judges every note of the witnesses. */
async function judged(
  directories: readonly string[],
  keys: readonly string[],
): Promise<{ readonly witness: Witness; readonly notes: readonly string[] }> {
  const distinct = new DistinctNotes();
  try {
    const onBelieved = (text: string, note: Note): void => distinct.add(text, note);
    const witness = await readWitness(directories, keys.map(parseVerifierKey), { now: Date.now(), onBelieved });
    return { witness, notes: distinct.inOrder() };
  } catch (cause) {
    if (cause instanceof CofferdamError) throw cause;
    throw new CofferdamError(
      'configuration',
      `the witness in ${directories.join(', ')} cannot be read. Nothing was verified`,
      { cause },
    );
  }
}

export const ledgerVerify: Verb = {
  words: ['ledger', 'verify'],
  positionals: [],
  options: [
    {
      name: 'witness',
      value: 'DIR[,DIR]',
      help: "directories of checkpoints (default: witness/ beside the admin socket's run/)",
    },
    {
      name: 'key',
      value: 'VKEY|FILE',
      help: 'verifier key, or a file with one on each line (default: what the gateway itself says)',
    },
    { name: 'max-age', value: 'SECONDS', help: 'how old the newest checkpoint may be (default 600; 0: any age)' },
  ],
  help: 'whether the record is what was sealed and witnessed; names the first bad entry. verifier/ledger-verifier.mjs does the same without the gateway',
  example: 'cofferctl ledger verify --witness /mnt/witness --key ledger.vkey',
  operations: ['ledger.verify', 'ledger.verification', 'ledger.status'],
  run: async (client, given) => {
    const named = given.options.witness;
    if (named === undefined && !existsSync(given.paths.witness))
      throw new CofferdamError(
        'configuration',
        `there is no witness in ${given.paths.witness}: name it with --witness DIR. Nothing was verified`,
      );
    const directories = named === undefined ? [given.paths.witness] : witnessesOf(named);
    const { verifierKeys } = await client.call('ledger.status', {});
    const keys = given.options.key === undefined ? verifierKeys : keysOf(given.options.key);
    // The witnesses first: the database may only be ahead of them. Every note is read and judged here.
    const { witness, notes } = await judged(directories, keys);
    const { checkpoints, findings } = witness;
    const read = `${checkpoints} checkpoints of ${directories.join(', ')} were read, every one of them that is to be believed.\n${witness.read.map((one) => `${plain(one)}\n`).join('')}`;
    // Lines that are no checkpoints are the work of whoever holds that witness, and hide nothing of what others have.
    const isOdd = findings.count > 0;
    if ((checkpoints === 0 && isOdd) || !findings.list.every(isJunk))
      return {
        data: { verdict: 'bad', entries: 0, findings: findings.list, keys, checkpoints },
        text: `${read}${recordFindingsText(findings)}The record was not read: what the witnesses hold is at odds by itself.\n`,
        isFault: true,
      };
    const junkText = isOdd
      ? `The witnesses hold what is no checkpoint to be believed; the record was verified against the rest.\n${recordFindingsText(findings)}`
      : '';
    const maxAgeSeconds = wholeNumber(given, 'max-age') ?? maxAgeUsual;
    let verification: string | undefined;
    for (let at = 0; at === 0 || at < notes.length; at += notesPerCallMax) {
      const part = {
        keys: [...keys],
        notes: notes.slice(at, at + notesPerCallMax),
        maxAgeSeconds,
        more: at + notesPerCallMax < notes.length,
      };
      ({ verification } = await client.call(
        'ledger.verify',
        verification === undefined ? part : { ...part, verification },
      ));
    }
    if (verification === undefined) throw new CofferdamError('bug', 'no verification was begun');
    for (let shown = 0; ; ) {
      const state = await client.call('ledger.verification', { verification });
      if (state.state === 'failed') throw new CofferdamError('unavailable', `${state.text}. Nothing was verified`);
      if (state.state === 'done') {
        const said =
          given.options.key === undefined
            ? 'The key was told by the gateway itself: compare it with the one that you noted, or give it with --key.\n'
            : '';
        return {
          data: {
            verdict: isOdd ? 'bad' : state.verdict,
            entries: state.entries,
            findings: [...findings.list, ...state.findings],
            keys,
            checkpoints,
          },
          text: `${read}${junkText}${isOdd ? 'The record itself:\n' : ''}${state.text}${whose}${said}`,
          isFault: isOdd || state.verdict !== 'good',
        };
      }
      if (given.isTerminal && state.entries - shown >= 500_000) {
        shown = state.entries;
        process.stderr.write(`${shown} entries\n`);
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  },
};
