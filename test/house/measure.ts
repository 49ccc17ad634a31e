// Owns: measuring the house: circles between folders, lengths of files and functions, comments, long lines, and exports
// that nobody imports. `npm run house:measure` prints a table and, as the last line, the same numbers as JSON. With the
// path of another checkout as its argument it measures that one, so that two states are measured the same way.
import { join, resolve } from 'node:path';
import { circlesIn, foldersAsRooms, importsIn } from '../support/circles.ts';
import { lengthsOfFunctions, longestOwn } from '../support/function-lengths.ts';
import { linesOf, productFolders, sourcesIn, textOf, unusedExports } from '../support/sources.ts';

const root = resolve(process.argv[2] ?? join(import.meta.dirname, '..', '..'));
const all = productFolders.flatMap((folder) => sourcesIn(root, folder));

/** The value below which a share of the sorted values lies. */
const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
const spread = (values: readonly number[]): { readonly p50: number; readonly p90: number; readonly max: number } => {
  const sorted = values.toSorted((a, b) => a - b);
  return { p50: at(sorted, 0.5), p90: at(sorted, 0.9), max: sorted.at(-1) ?? 0 };
};
const percent = (part: number, whole: number): number => Math.round((1000 * part) / whole) / 10;

const functions = lengthsOfFunctions(root, productFolders);
const measured = productFolders.map((folder) => {
  const files = sourcesIn(root, folder).map((path) => linesOf(textOf(root, path)));
  const own = functions.filter((one) => one.path.startsWith(`${folder}/`));
  const sum = (pick: (lines: (typeof files)[number]) => number): number =>
    files.reduce((n, lines) => n + pick(lines), 0);
  return {
    folder,
    files: files.length,
    fileLines: spread(files.map((lines) => lines.all)),
    filesOver400: files.filter((lines) => lines.code > 400).length,
    functions: own.length,
    functionLines: spread(own.map((one) => one.lines)),
    functionsOver70: own.filter((one) => one.own > longestOwn).length,
    commentPercent: percent(
      sum((lines) => lines.comment),
      sum((lines) => lines.comment + lines.code),
    ),
    over120: sum((lines) => lines.over120),
  };
});

const imports = importsIn(root, all);
const circles = circlesIn(foldersAsRooms(imports));
const warden = circlesIn(
  foldersAsRooms(imports.filter((one) => one.from.startsWith('server/warden/') && one.to.startsWith('server/warden/'))),
);
const unused = unusedExports(root, all);
const inAll = (circle: readonly string[]): string => `${circle.length} folders: ${circle.join(', ')}`;

const three = ({ p50, p90, max }: { readonly p50: number; readonly p90: number; readonly max: number }): string =>
  `${p50}/${p90}/${max}`;
process.stdout.write(
  [
    ['', ...measured.map((one) => one.folder)],
    ['files', ...measured.map((one) => String(one.files))],
    ['lines of a file, p50/p90/max', ...measured.map((one) => three(one.fileLines))],
    ['files over 400 lines of code', ...measured.map((one) => String(one.filesOver400))],
    ['functions', ...measured.map((one) => String(one.functions))],
    ['lines of a function, p50/p90/max', ...measured.map((one) => three(one.functionLines))],
    ['functions over 70 lines of code', ...measured.map((one) => String(one.functionsOver70))],
    ['comment lines', ...measured.map((one) => `${one.commentPercent} %`)],
    ['lines over 120 columns', ...measured.map((one) => String(one.over120))],
  ]
    .map(([name = '', ...cells]) => `${name.padEnd(34)}${cells.map((cell) => cell.padStart(14)).join('')}\n`)
    .join(''),
);
process.stdout.write(`\ncircles between folders: ${circles.length}, of them in the warden: ${warden.length}\n`);
for (const circle of circles) process.stdout.write(`  ${inAll(circle)}\n`);
process.stdout.write('functions over 70 lines of code, tables left out:\n');
for (const one of functions.filter((each) => each.own > longestOwn))
  process.stdout.write(`  ${one.own}  ${one.path} ${one.name}\n`);
process.stdout.write(
  `exports that no other file imports: ${unused.length}; that only tests import: ${unusedExports(root, all, productFolders).length - unused.length}\n`,
);
const foldersInCircles = circles.reduce((n, circle) => n + circle.length, 0);
process.stdout.write(
  `${JSON.stringify({ circles: circles.length, foldersInCircles, wardenFoldersInCircles: warden.flat().length, unusedExports: unused.length, folders: measured })}\n`,
);
