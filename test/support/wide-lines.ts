// Owns: which lines are too wide to be read beside others, by TypeScript's own parser. A text (a string, a template
// with what stands in it, a regular expression) may be as long as it is: cut into pieces, a
// message or a statement is neither found nor read.
import {
  isNoSubstitutionTemplateLiteral,
  isRegularExpressionLiteral,
  isStringLiteral,
  isTemplateExpression,
  type Node,
} from 'typescript/unstable/ast';
import { sourceFaults } from './source-faults.ts';

/** The largest number of columns of a line, without the texts in it. */
export const widestLine = 120;

type Part = { readonly from: number; readonly to: number };

const isText = (node: Node): boolean =>
  isStringLiteral(node) ||
  isNoSubstitutionTemplateLiteral(node) ||
  isTemplateExpression(node) ||
  isRegularExpressionLiteral(node);

/** How many characters of a line, from offset `from` up to `to`, belong to one of the parts. */
const coveredIn = (parts: readonly Part[], from: number, to: number): number =>
  parts.reduce((sum, part) => sum + Math.max(0, Math.min(part.to, to) - Math.max(part.from, from)), 0);

/** A type of plain JavaScript stands on one line of a comment, however long it is. */
const isTypeLine = (line: string): boolean => / @\w+ .*\{/.test(line);

/** Returns `file:line: columns` for every line below one of `folders` that is too wide, in the order of the files. */
export function wideLines(
  root: string,
  folders: readonly string[],
  tsconfig = `${root}/tsconfig.json`,
): readonly string[] {
  const files: { readonly path: string; readonly text: string; readonly texts: Part[] }[] = [];
  sourceFaults(tsconfig, root, folders, (file) => {
    const texts: Part[] = [];
    files.push({ path: file.fileName.slice(root.length + 1), text: file.text, texts });
    return (node) => {
      if (isText(node)) texts.push({ from: node.getStart(file), to: node.end });
      return undefined;
    };
  });
  return files.flatMap(({ path, text, texts }) => {
    const found: string[] = [];
    let from = 0;
    for (const [i, line] of text.split('\n').entries()) {
      const columns =
        line.length <= widestLine || isTypeLine(line) ? 0 : line.length - coveredIn(texts, from, from + line.length);
      if (columns > widestLine) found.push(`${path}:${i + 1}: ${columns} columns`);
      from += line.length + 1;
    }
    return found;
  });
}
