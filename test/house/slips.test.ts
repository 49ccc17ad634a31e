// The slips of `npm run mutate`: which slips are made of a source, that none of them is made where the compiler would
// catch it, and that every explanation in the sources is about an existing slip. The trials themselves take minutes and
// are not run here.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { explained, staleIn } from '../mutation/explained.ts';
import { slipsOf } from '../mutation/slips-of.ts';
import { quickTests, triedFiles } from '../mutation/tried-files.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const root = join(import.meta.dirname, '..', '..');

const planted = `
export type Word = 'a' | 'b';
export function first(list: readonly number[], limit: number): number {
  if (limit < 10) return list[0] ?? 0;
  if (list.length > 1 && limit !== 3) throw new Error('no');
  return Math.min(limit - 1, list.length);
}
export const is = (word: string): boolean => word.startsWith('x');
export async function wait(work: Promise<void>, say: (word: Word, text: string) => void): Promise<void> {
  await work;
  say('a', 'text');
}
export const context = (customer: string, index: number): readonly string[] => ['kind', customer, String(index)];
export const left = (room: number, taken: number): number => Math.hypot(room, taken);
`;

test('the slips of a planted source, each with its line', (t) => {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'room'));
  writeFileSync(join(directory, 'room', 'planted.ts'), planted);
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  const compilerOptions = {
    target: 'es2024',
    lib: ['es2024'],
    module: 'nodenext',
    strict: true,
    noEmit: true,
    types: ['node'],
  };
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['room'] }));
  const slips = slipsOf(directory, ['room/planted.ts']);
  const marks = (line: number): readonly string[] =>
    slips.filter((one) => one.line === line).map((one) => /⟦(.*)⟧/.exec(one.name)?.[1] ?? '');
  t.same(marks(2), [], 'types are none');
  t.same(
    marks(4),
    ['limit < 10 → true', 'limit < 10 → false', '< → <=', '10 → 11', '10 → 9', 'list[0] ?? 0 → 0', '0 → 1'],
    'a condition, its boundary, a constant',
  );
  t.same(
    marks(5),
    [
      'list.length > 1 && limit !== 3 → true',
      'list.length > 1 && limit !== 3 → false',
      '&& → ||',
      'list.length > 1 && limit !== 3 → (list.length > 1)',
      'list.length > 1 && limit !== 3 → (limit !== 3)',
      '> → >=',
      '> → <=',
      '1 → 2',
      '1 → 0',
      '!== → ===',
      '3 → 4',
      '3 → 2',
    ],
    'what is thrown at people is left alone',
  );
  t.same(marks(6), ['Math.min(limit - 1, list.length) → 0', 'min → max', '- → +', '1 → 2', '1 → 0']);
  t.same(marks(8), [
    "word.startsWith('x') → true",
    "word.startsWith('x') → false",
    'startsWith → endsWith',
    "'x' → ''",
  ]);
  t.same(marks(10), ['await work; → ;', 'await work → (work)']);
  t.same(marks(11), ["say('a', 'text'); → ;", "'text' → ''"], 'a word of few is checked by the compiler');
  t.same(marks(13), ['customer,  → ', ', String(index) → ', "'kind' → ''"], 'each part of a context');
  t.same(
    marks(14),
    ['Math.hypot(room, taken) → 0', 'room, taken → taken, room'],
    'two of a type are swapped, but for a minimum',
  );
  for (const { start, end, text } of slips) t.not(planted.slice(start, end), text, 'something is changed');
  t.end();
});

test('every explanation is about an existing slip, and says why nothing can catch it', (t) => {
  const files = triedFiles(root, []);
  t.ok(files.length > 40, `${files.length} files`);
  const slips = slipsOf(root, files);
  t.ok(slips.length > 1000, `${slips.length} slips`);
  t.same(
    explained.map(({ file }) => file).filter((file) => !files.includes(file)),
    [],
    'of files that are tried',
  );
  t.same(staleIn(explained, slips, files), []);
  t.ok(explained.every(({ why }) => why.length > 20));
  t.same(
    staleIn([{ file: files[0] ?? '', why: '', slips: ['no such slip'] }], slips, files),
    [`${files[0]}: no such slip`],
    'the rule bites',
  );
  t.end();
});

test('the tests that are tried need no database and no gateway', (t) => {
  const tests = [...quickTests(root).keys()];
  for (const wanted of [
    'test/domain/login-machine.test.ts',
    'test/warden/key-vectors.test.ts',
    'test/edge/session.test.ts',
  ])
    t.ok(tests.includes(wanted), wanted);
  for (const other of ['test/warden/grants.test.ts', 'test/warden/pace.test.ts', 'test/e2e/main-flow.test.ts'])
    t.notOk(tests.includes(other), other);
  t.end();
});
