// Owns: `cofferctl operator list`.
import { table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';

export const operatorList = read({
  words: ['operator', 'list'],
  help: 'Lists operators with their roles and the keys they sign with.',
  example: 'cofferctl operator list',
  operation: 'operator.list',
  text: ({ operators }) => {
    const rows = operators.flatMap((one) => {
      const keys = one.keys.filter((key) => key.endedAt === null);
      const first = [one.name, one.role, one.state, when(one.createdAt)];
      return keys.length === 0
        ? [[...first, 'none']]
        : keys.map((key, i) => [...(i === 0 ? first : ['', '', '', '']), key.fingerprint]);
    });
    return table({
      columns: ['OPERATOR', 'ROLE', 'STATE', 'SINCE', 'KEY'],
      rows,
      empty: 'no operators: cofferctl bootstrap',
    });
  },
});
