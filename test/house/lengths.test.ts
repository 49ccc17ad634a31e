// A function is no longer than a screen or two, and a line no wider than two files beside each other. Only a table may
// be longer, and each of its rows is measured as a function of its own.
import { join } from 'node:path';
import { test } from 'tap';
import { lengthsOfFunctions, longestOwn } from '../support/function-lengths.ts';
import { linesFoundIn } from '../support/planted.ts';
import { productFolders } from '../support/sources.ts';
import { wideLines, widestLine } from '../support/wide-lines.ts';

const root = join(import.meta.dirname, '..', '..');

test('no function is too long', (t) => {
  const all = lengthsOfFunctions(root, productFolders);
  t.ok(all.length > 3000, `${all.length} functions`);
  t.same(
    all.filter((one) => one.own > longestOwn).map((one) => `${one.path} ${one.name}: ${one.own}`),
    [],
    `${longestOwn} lines of code: split it, or make it a table whose rows are functions`,
  );
  t.end();
});

const lines = (n: number): string => 'work();\n'.repeat(n);
const planted = `declare function work(): void;
export function short() {
${lines(longestOwn - 2)}}
export function long() { // ${longestOwn + 3}
${lines(longestOwn - 1)}}
export const commented = () => {
${'// why\n'.repeat(longestOwn)}work();
};
export const table = () => ({
  one: () => {
${lines(longestOwn - 10)}  },
  two: () => {
${lines(longestOwn - 10)}  },
});
`;

test('the rule sees what it is for', (t) => {
  const find = (config: string, directory: string, folders: readonly string[]): readonly string[] =>
    lengthsOfFunctions(directory, folders, config)
      .filter((one) => one.own > longestOwn)
      .map(
        (one) => `${one.path}:${planted.slice(0, planted.indexOf(`function ${one.name}`)).split('\n').length}: long`,
      );
  t.same(linesFoundIn(t, planted, find), [longestOwn + 2], 'comments and rows of a table do not count');
  t.end();
});

test('no line is too wide', (t) => {
  t.same(wideLines(root, [...productFolders, 'test', 'bench']), [], `${widestLine} columns, without the texts in it`);
  t.end();
});

const wide = (columns: number): string => 'x'.repeat(columns);
const plantedWide = `declare function say(...texts: readonly unknown[]): void;
// ${wide(widestLine - 3)}
// ${wide(widestLine - 2)}
say('${wide(widestLine)}');
say('', /* ${wide(widestLine)} */);
say(\`\${say()} ${wide(widestLine)}
${wide(widestLine + 1)}
\${say()}${wide(widestLine)}\`, /${wide(widestLine)}/);
/** ${wide(widestLine)} */
const { ${wide(widestLine)} } = { ${wide(10)}: 1 } as never;
`;

test('the rule of widths sees what it is for', (t) => {
  const find = (config: string, directory: string, folders: readonly string[]): readonly string[] =>
    wideLines(directory, folders, config);
  t.same(
    linesFoundIn(t, plantedWide, find),
    [3, 5, 9, 10],
    'texts may be as long as they are, comments and code may not',
  );
  t.end();
});
