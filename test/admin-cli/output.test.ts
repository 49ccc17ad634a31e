// Tables of cofferctl are readable at 80 columns, whatever name a bank gave to one file.
import { test } from 'tap';
import { table } from '../../admin-cli/terminal/output.ts';

test('one long name widens its own line, and no other', (t) => {
  const long = 'x'.repeat(255);
  const shown = table({
    columns: ['file', 'bytes'],
    rows: [
      ['a.xml', 1],
      [long, 22],
      ['b.xml', 333],
    ],
    empty: 'none',
  });
  t.equal(
    shown,
    ['file   bytes', 'a.xml      1', `${long}     22`, 'b.xml    333', ''].join('\n'),
    'and it is shown whole',
  );
  t.equal(table({ columns: ['file'], rows: [], empty: 'none' }), 'none\n');
  const print = `SHA256:${'A'.repeat(43)}`;
  t.equal(
    table({
      columns: ['key', 'state'],
      rows: [
        [print, 'active'],
        [null, 'none'],
      ],
      empty: '',
    }),
    [`key${' '.repeat(49)}state`, `${print}  active`, `-${' '.repeat(51)}none`, ''].join('\n'),
    'a fingerprint is no long name',
  );
  t.end();
});
