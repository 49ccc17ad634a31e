// Owns: `cofferctl change show`.
import { nextLine } from '../terminal/next-line.ts';
import { positional, type Verb } from '../verb/verb.ts';
import { fetchAndShow } from './shown.ts';

export const changeShow: Verb = {
  words: ['change', 'show'],
  positionals: ['CHANGE'],
  options: [],
  help: 'Shows a change exactly as it was signed, with the hash by which it is approved. The signature is verified here.',
  example: 'cofferctl change show 6f1c…',
  operations: ['change.show'],
  run: async (client, given) => {
    const { signed, hash, text } = await fetchAndShow(client, positional(given, 0));
    const next =
      signed.change.state === 'proposed'
        ? `\napprove it: ${nextLine(given, `change approve ${positional(given, 0)} --hash ${hash} --execute`)}\nreject it:  ${nextLine(given, `change reject ${positional(given, 0)} --reason TEXT --execute`)}\n`
        : '';
    return { data: { ...signed, hash }, text: `${text}${next}` };
  },
};
