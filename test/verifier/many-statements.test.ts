// Whoever owns the database can have statements about archives sealed without an end: many of them are read in a time
// that grows with their number, not with its square.
import { test } from 'tap';
import { account, type Statement, Statements } from '../../verifier/statements.js';

const statementOf = (i: number): Statement => ({
  month: '2020-01',
  first: 0,
  last: 10 + (i % 7),
  entries: 1,
  file: 'ledger-2020-01.jsonl.gz',
  sha256: String(i).padStart(64, '0'),
  total: 1,
});

test('eight times as many statements take about eight times as long', (t) => {
  const secondsOf = (count: number): number => {
    const began = process.cpuUsage();
    const kept = new Statements();
    for (let i = 0; i < count; i += 1) kept.add(statementOf(i), Math.floor(i / 256));
    t.equal(kept.all.length, count);
    account(
      [{ from: 0, to: 20 * count }],
      kept.all.map((statement) => ({ statement, left: statement.entries })),
    );
    return process.cpuUsage(began).user / 1e6;
  };
  secondsOf(2000);
  const [few, many] = [secondsOf(5000), secondsOf(40_000)];
  t.ok(many < 32 * few + 0.2, `5,000: ${few} s, 40,000: ${many} s`);
  t.end();
});

test('statements count once, and those of a block that is only known by its hash do not', (t) => {
  const kept = new Statements();
  kept.add(statementOf(1), 0);
  kept.add(statementOf(1), 1);
  kept.add(statementOf(2), 1);
  t.equal(kept.all.length, 2, 'the same one twice is one');
  kept.takeBack(1);
  t.same(kept.all, [statementOf(1)], 'one that an earlier block has as well stays');
  kept.add(statementOf(2), 2);
  t.equal(kept.all.length, 2, 'and a later one counts');
  t.end();
});

test('of the statements that can take a position, that whose range ends first takes it', (t) => {
  const wide = { statement: { ...statementOf(1), first: 0, last: 9, file: 'wide' }, left: 2 };
  const narrow = { statement: { ...statementOf(2), first: 2, last: 3, file: 'narrow' }, left: 2 };
  const { missing, stated } = account([{ from: 1, to: 5 }], [wide, narrow]);
  t.same(
    [...stated],
    [
      ['wide', 2],
      ['narrow', 2],
    ],
  );
  t.same(missing, [{ from: 5, to: 5 }]);
  t.end();
});
