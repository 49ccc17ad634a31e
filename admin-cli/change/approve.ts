// Owns: `cofferctl change approve`.
import { CofferdamError } from '../../server/domain/errors.ts';
import { fields } from '../terminal/fields.ts';
import { nextLine } from '../terminal/next-line.ts';
import { plain } from '../terminal/output.ts';
import { executeOption } from '../verb/change.ts';
import { positional, type Verb } from '../verb/verb.ts';
import { fetchAndShow } from './shown.ts';

const hashLetters = 64;

export const changeApprove: Verb = {
  words: ['change', 'approve'],
  positionals: ['CHANGE'],
  options: [
    { name: 'hash', value: 'HASH', help: `of the text that you were shown, all ${hashLetters} digits of it` },
    executeOption('approve the change; without --execute only its text is shown'),
  ],
  help: "Approves another operator's change: signs the hash of exactly this text, and the warden applies the change. Without --execute only the text is shown.",
  example: 'cofferctl change approve 6f1c… --hash 3b1f… --execute',
  operations: ['change.approve', 'change.show'],
  run: async (client, given) => {
    const id = positional(given, 0);
    const wanted = given.options.hash;
    const { signed, hash, text } = await fetchAndShow(client, id);
    if (given.options.execute === undefined)
      return {
        data: { ...signed, hash, executed: false },
        text: `${text}\nNothing was done. To approve exactly this: ${nextLine(given, `change approve ${id} --hash ${hash} --execute`)}\n`,
      };
    if (wanted === undefined)
      throw new RangeError('--hash is missing: it says what you were shown (cofferctl change show)');
    // With fewer digits, an attacker could try texts until the beginning of a hash matches.
    if (!/^[0-9a-f]+$/.test(wanted) || wanted.length !== hashLetters)
      throw new RangeError(`--hash takes all ${hashLetters} hexadecimal digits`);
    if (hash !== wanted)
      throw new CofferdamError(
        'conflict',
        'this change has another hash: it is not the text that you were shown. Nothing was approved',
      );
    const done = await client.approve(id, hash);
    return {
      data: { ...done, executed: true },
      text: `approved and applied: ${done.operation}\n${fields(done.result)
        .map(([name, value]) => `${name.padEnd(18)} ${plain(value)}\n`)
        .join('')}`,
    };
  },
};
