// Owns: `cofferctl account create`.
import { nextLine } from '../terminal/next-line.ts';
import { change } from '../verb/change.ts';
import { only, positional, yesNo } from '../verb/verb.ts';

const kinds = ['person', 'machine'] as const;

export const accountCreate = change({
  words: ['account', 'create'],
  positionals: ['NAME'],
  options: [
    { name: 'customer', value: 'NAME', help: 'the customer to which the account belongs (partner plane)' },
    {
      name: 'internal',
      value: 'CUSTOMER,…',
      help: 'instead of --customer: an internal account with rights on these customers',
    },
    { name: 'kind', value: 'person|machine', help: 'who uses the account', required: true },
    { name: 'contact', value: 'TEXT', help: 'whom to call' },
    {
      name: 'manages',
      value: 'yes|no',
      help: "with --customer: whether this person may open windows of the customer's machine accounts and manage their keys over SSH",
    },
  ],
  help: "Creates an SFTP account. It can log in once it has a key and a second factor, or, for machines, an open window or a password that counts only from the machine's networks.",
  example: 'cofferctl account create northbank-batch --customer northbank --kind machine',
  operation: 'account.create',
  params: (given) => {
    const { customer, internal, contact } = given.options;
    const manages = yesNo(given, 'manages');
    const kind = kinds.find((one) => one === given.options.kind);
    if (kind === undefined) throw new RangeError('--kind is person or machine');
    if ((customer === undefined) === (internal === undefined))
      throw new RangeError('give either --customer or --internal');
    if (internal !== undefined && manages !== undefined)
      throw new RangeError('--manages belongs to --customer: an internal account manages no accounts of a customer');
    const common = { name: positional(given, 0), kind, ...only({ contact }) };
    return customer === undefined
      ? { plane: 'internal', ...common, customers: (internal ?? '').split(',') }
      : { plane: 'partner', ...common, customer, ...only({ manages }) };
  },
  told: (_result, { name, kind }, given) => {
    const second =
      kind === 'person'
        ? nextLine(given, `mfa ticket ${name}`)
        : nextLine(given, `window open ${name} --hours 8 --reason TEXT`);
    return `account ${name} created; it cannot log in yet\nnext: ${nextLine(given, `key add ${name} --file id_ed25519.pub`)}\nthen: ${second}\n`;
  },
});
