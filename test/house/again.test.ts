// A test file that fails beside others counts as it does alone; several that fail are not tried again.
import { test } from 'tap';
import { type Counted, runAgain } from '../support/again.ts';

const green = (file: string): Counted => ({ file, passed: 5, failed: 0, failures: [], seconds: 1 });
const red = (file: string): Counted => ({ file, passed: 4, failed: 1, failures: [`${file}: not ok`], seconds: 2 });

/** Counts a run whose files behave alone as `alone` says. Returns what counts, what ran again, and what was printed. */
async function counted(
  first: readonly Counted[],
  alone: (file: string) => Counted,
): Promise<{ readonly counts: readonly Counted[]; readonly again: readonly string[]; readonly printed: string }> {
  const again: string[] = [];
  let printed = '';
  const counts = await runAgain(
    first,
    async (files) => {
      again.push(...files);
      return files.map(alone);
    },
    (text) => (printed += text),
  );
  return { counts, again, printed };
}

test('what passes runs once', async (t) => {
  const { counts, again, printed } = await counted([green('a'), green('b')], red);
  t.same(counts, [green('a'), green('b')]);
  t.same(again, []);
  t.equal(printed, '');
});

test('what fails beside others and passes alone counts as passed, and is told', async (t) => {
  const { counts, again, printed } = await counted([green('a'), red('b'), green('c')], green);
  t.same(counts, [green('a'), green('b'), green('c')]);
  t.same(again, ['b'], 'nothing else runs again');
  t.match(printed, /failed once beside others, and passed alone: b\nb: not ok\n/);
});

test('what fails twice counts as failed, with what failed first', async (t) => {
  const { counts, printed } = await counted([red('a'), red('b')], (file) =>
    file === 'a' ? { ...red('a'), failed: 3 } : green('b'),
  );
  t.same(counts, [red('a'), green('b')]);
  t.notMatch(printed, /passed alone: a/);
});

test('when many fail, none is tried again', async (t) => {
  const three = ['a', 'b', 'c'].map(red);
  t.same((await counted(three, green)).again, ['a', 'b', 'c']);
  const four = [...three, red('d')];
  const { counts, again } = await counted(four, green);
  t.same(again, []);
  t.same(counts, four);
});
