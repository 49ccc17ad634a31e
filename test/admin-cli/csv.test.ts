// CSV that cofferctl writes: as RFC 4180 has it, and with no cell that a spreadsheet takes for a formula.
import { test } from 'tap';
import { csv } from '../../admin-cli/terminal/csv.ts';

test('CSV as RFC 4180 has it', async (t) => {
  t.equal(csv(['a', 'b'], []), 'a,b\r\n', 'a header line in any case');
  t.equal(csv(['a'], [['plain'], [''], [null]]), 'a\r\nplain\r\n\r\n\r\n');
  t.equal(csv(['a', 'b'], [['x,y', 'say "no"']]), 'a,b\r\n"x,y","say ""no"""\r\n');
  t.equal(csv(['a'], [['two\nlines'], ['two\r\nlines']]), 'a\r\n"two\nlines"\r\n"two\r\nlines"\r\n');
  t.equal(csv(['a', 'b', 'c'], [[true, false, -3]]), 'a,b,c\r\nyes,no,-3\r\n', 'a number is no formula');
});

test('no cell is taken for a formula by a spreadsheet', async (t) => {
  for (const first of ['=', '+', '-', '@', '\t', '\r']) {
    const line = csv(['a'], [[`${first}HYPERLINK(1)`]])
      .split('\r\n')
      .slice(1)
      .join('\r\n');
    t.match(line, /^"?'/, JSON.stringify(first));
  }
  t.equal(csv(['a'], [['=1+1,"x"']]), `a\r\n"'=1+1,""x"""\r\n`, 'quoted and harmless');
  t.equal(csv(['=a'], []), "'=a\r\n", 'nor in the header');
  for (const harmless of ['a=b', '1-1', "'x", 'x@y']) t.equal(csv(['a'], [[harmless]]), `a\r\n${harmless}\r\n`);
});
