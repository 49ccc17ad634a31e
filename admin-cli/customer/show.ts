// Owns: `cofferctl customer show`.
import { table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';
import { positional } from '../verb/verb.ts';

export const customerShow = read({
  words: ['customer', 'show'],
  positionals: ['NAME'],
  help: "Shows one customer's folders and accounts.",
  example: 'cofferctl customer show acme',
  operation: 'customer.show',
  params: (given) => ({ name: positional(given, 0) }),
  text: ({ customer, folders, accounts }) => {
    const folderRows = folders.map((one) => [
      one.name,
      one.direction,
      one.publishRule === 'on-marker' ? `${one.publishRule} ${one.marker}` : one.publishRule,
      `${one.settleMs / 1000} s`,
      one.replaceAllowed,
      one.directoriesAllowed,
      one.readBack,
      one.windowDays === null ? null : `${one.windowDays} d`,
      one.readsMax,
      one.retentionDays === null ? null : `${one.retentionDays} d`,
      one.files,
    ]);
    const accountRows = accounts.map((one) => [
      one.name,
      one.kind,
      one.state,
      one.keys,
      one.secondFactor,
      when(one.windowOpenUntil),
      one.networks.length === 0 ? 'anywhere' : one.networks.join(', '),
      when(one.lastUsedAt),
    ]);
    return [
      `${customer.name}: ${customer.state},${customer.formerNames.length === 0 ? '' : ` formerly ${customer.formerNames.join(', ')},`} created ${when(customer.createdAt)}, ${customer.files} published files; logins by ${customer.allowedProofs?.join(', ') ?? 'all that the gateway allows'}\n\n`,
      table({
        columns: [
          'FOLDER',
          'DIRECTION',
          'PUBLISHED',
          'SETTLES',
          'REPLACE',
          'DIRECTORIES',
          'READ BACK',
          'WINDOW',
          'READS',
          'RETENTION',
          'FILES',
        ],
        rows: folderRows,
        empty: 'no folders',
      }),
      '\n',
      table({
        columns: ['ACCOUNT', 'KIND', 'STATE', 'KEYS', 'SECOND FACTOR', 'WINDOW UNTIL', 'FROM', 'LAST USED'],
        rows: accountRows,
        empty: 'no accounts',
      }),
    ].join('');
  },
});
