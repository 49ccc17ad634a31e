import { existsSync } from 'node:fs';
import { CofferdamError } from '../../server/domain/errors.ts';
import { type Command, wholeNumber } from '../command.ts';
import { keysOf, notesOf, thinned } from '../witness.ts';

const pollMs = 250;
const maxAgeUsual = 600;

export const ledgerVerify: Command = {
  words: ['ledger', 'verify'],
  positionals: [],
  options: [
    { name: 'witness', value: 'DIR', help: "directory of checkpoints (default: witness/ beside the admin socket's run/)" },
    { name: 'key', value: 'VKEY|FILE', help: 'verifier key, or a file with one on each line (default: what the gateway itself says)' },
    { name: 'max-age', value: 'SECONDS', help: 'how old the newest checkpoint may be (default 600; 0: any age)' },
  ],
  help: 'whether the record is what was sealed and witnessed; names the first bad entry. verifier/ledger-verifier.mjs does the same without the gateway',
  example: 'cofferctl ledger verify --witness /mnt/witness --key ledger.vkey',
  run: async (client, given) => {
    const directory = given.options.witness ?? given.places.witness;
    if (!existsSync(directory))
      throw new CofferdamError('configuration', `there is no witness in ${directory}: name it with --witness DIR. Nothing was verified`);
    // The witness is read before the database, so the database can only be ahead of it.
    const notes = thinned(notesOf(directory));
    const { verifierKeys } = await client.call('ledger.status', {});
    const keys = given.options.key === undefined ? verifierKeys : keysOf(given.options.key);
    const maxAgeSeconds = wholeNumber(given, 'max-age') ?? maxAgeUsual;
    const { verification } = await client.call('ledger.verify', { keys: [...keys], notes: [...notes], maxAgeSeconds });
    for (let shown = 0; ; ) {
      const state = await client.call('ledger.verification', { verification });
      if (state.state === 'failed') throw new CofferdamError('unavailable', `${state.text}. Nothing was verified`);
      if (state.state === 'done') {
        const said =
          given.options.key === undefined
            ? 'The key was told by the gateway itself: compare it with the one that you noted, or give it with --key.\n'
            : '';
        return {
          data: { verdict: state.verdict, entries: state.entries, findings: state.findings, keys },
          text: `${state.text}${said}`,
          isFault: state.verdict !== 'good',
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
