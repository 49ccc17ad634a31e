// Answers are remembered up to a bound, and are the same beyond it.
import { test } from 'tap';
import { remembering } from '../../../server/domain/incident/remembering.ts';

/**
 * Returns a function that asks for keys and returns those of them that had to be found anew. For a key, as many
 * positions are found as its digits say.
 */
function counted(max?: number) {
  const asked: string[] = [];
  const find = (key: string): readonly number[] => {
    asked.push(key);
    return Array.from({ length: Number(key) }, (_, i) => i);
  };
  const ask = max === undefined ? remembering(find) : remembering(find, max);
  /** Asks for all of these, and returns those that were not remembered, in the order in which they were asked for. */
  const anew = (...keys: readonly string[]): readonly string[] => {
    asked.length = 0;
    for (const key of keys) if (ask(key).length !== Number(key)) throw new Error(`another answer for ${key}`);
    return [...asked];
  };
  return anew;
}

test('each answer is found once', (t) => {
  const anew = counted();
  t.same(anew('3', '3', '0', '0', '3'), ['3', '0']);
  t.end();
});

test('as many positions as the bound are kept, and each answer counts as one more', (t) => {
  const anew = counted(10);
  // 4 + 5 = 9, and one more that finds nothing.
  t.same(anew('3', '4', '0'), ['3', '4', '0']);
  t.same(anew('3', '4', '0'), [], 'ten fit');
  t.same(anew('00'), ['00'], 'the next one does not, and all that was known is forgotten');
  t.same(anew('00'), [], 'except itself');
  t.same(anew('3', '4', '0'), ['3', '4', '0']);
  t.same(anew('3', '4', '0'), ['3', '4'], 'the last of them was one too many, and was kept alone');
  t.end();
});

test('what counts after everything was forgotten is what came since', (t) => {
  const anew = counted(10);
  anew('9');
  t.same(anew('5'), ['5'], 'ten and six');
  t.same(anew('3', '5', '3'), ['3'], 'six and four fit');
  t.same(anew('0', '5'), ['0', '5'], 'and one more does not');
  t.end();
});

test('the bound is two hundred thousand', (t) => {
  const anew = counted();
  t.same(anew('99999', '099999'), ['99999', '099999']);
  t.same(anew('99999', '099999'), [], 'as many as fit');
  t.same(anew('0'), ['0']);
  t.same(anew('99999'), ['99999'], 'one more');
  t.end();
});
