// Owns: `cofferctl exposure`.
import { countText, sizeText } from '../../server/domain/budgets/amounts.ts';
import { nextLine } from '../terminal/next-line.ts';
import { colour, plain, table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';
import { required } from '../verb/verb.ts';

export const exposure = read({
  words: ['exposure'],
  options: [
    {
      name: 'credential',
      value: 'SHA256:…',
      help: 'name of a key or password, as `credential list` shows it',
      required: true,
    },
  ],
  help: 'Shows what could be taken with a credential right now: files, bytes, and until when.',
  example: 'cofferctl exposure --credential SHA256:…',
  operation: 'exposure',
  params: (given) => ({ credential: required(given, 'credential') }),
  text: (data, given) => {
    const rows = data.customers.map((one) => {
      const room = (window: string): string => {
        const found = one.room.find((other) => other.window === window);
        const bytes = Math.min(one.bytes, (found?.bytes ?? 0) + one.paidBytes);
        const files = Math.min(one.files, (found?.files ?? 0) + (one.paidBytes > 0 ? one.files : 0));
        return `${sizeText(bytes)} in ${countText(files)} ${files === 1 ? 'file' : 'files'}`;
      };
      return [one.customer, one.files, sizeText(one.bytes), room('hour'), room('day'), room('week')];
    });
    const state =
      data.blocked === null
        ? `usable until ${when(data.expiresAt)} or until it is suspended; ${data.openSessions} sessions open now`
        : colour('green', `nothing can be taken now: ${data.blocked}`, given.isTerminal);
    return [
      `${plain(data.account)} (${data.kind}, ${data.plane} plane): ${state}\n\n`,
      table({
        columns: ['CUSTOMER', 'READABLE FILES', 'BYTES', 'AT MOST IN AN HOUR', 'IN A DAY', 'IN A WEEK'],
        rows,
        empty: 'this credential can read nothing',
      }),
      '\nWhat was charged in the last 24 hours can be read again without a new charge, and is included.\n',
      data.blocked === null
        ? `next: ${nextLine(given, `key suspend ${given.options.credential} --reason TEXT`)}\n`
        : '',
    ].join('');
  },
});
