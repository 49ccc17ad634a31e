// Owns: the lengths of all named functions of the product, by TypeScript's own parser.
import {
  isArrowFunction,
  isConstructorDeclaration,
  isFunctionDeclaration,
  isFunctionExpression,
  isGetAccessorDeclaration,
  isMethodDeclaration,
  isObjectLiteralExpression,
  isPropertyAssignment,
  isSetAccessorDeclaration,
  type Node,
} from 'typescript/unstable/ast';
import { sourceFaults } from './source-faults.ts';
import { kindsOfLines } from './sources.ts';

/** The largest number of lines of code of a function that is no table. */
export const longestOwn = 70;

export type FunctionLength = {
  readonly path: string;
  readonly name: string;
  readonly lines: number;
  /**
   * The lines of code of the function itself: without comments, and without the functions that are rows of a table in
   * it, that is, members of an object. Those are measured each by itself.
   */
  readonly own: number;
};

const isFunction = (node: Node): boolean =>
  isFunctionDeclaration(node) ||
  isMethodDeclaration(node) ||
  isConstructorDeclaration(node) ||
  isGetAccessorDeclaration(node) ||
  isSetAccessorDeclaration(node) ||
  isArrowFunction(node) ||
  isFunctionExpression(node);

/**
 * The name of a function: its own, or that of the constant, the property or the field that holds it; undefined for
 * others.
 */
function nameOf(node: Node): string | undefined {
  if (isConstructorDeclaration(node)) return 'constructor';
  const named = isArrowFunction(node) || isFunctionExpression(node) ? node.parent : node;
  const { name } = named as { readonly name?: Node };
  return name?.getText();
}

const isRow = (node: Node): boolean =>
  (isMethodDeclaration(node) && isObjectLiteralExpression(node.parent)) ||
  (isFunction(node) && isPropertyAssignment(node.parent));

/** Returns every named function below one of `folders`, in the order of the files. */
export function lengthsOfFunctions(
  root: string,
  folders: readonly string[],
  tsconfig = `${root}/tsconfig.json`,
): readonly FunctionLength[] {
  const found: FunctionLength[] = [];
  sourceFaults(tsconfig, root, folders, (file) => {
    const kinds = kindsOfLines(file.text);
    const starts = [0];
    for (let i = file.text.indexOf('\n'); i >= 0; i = file.text.indexOf('\n', i + 1)) starts.push(i + 1);
    const lineAt = (position: number): number => {
      let [low, high] = [0, starts.length - 1];
      while (low < high) {
        const middle = Math.ceil((low + high) / 2);
        if ((starts[middle] ?? 0) <= position) low = middle;
        else high = middle - 1;
      }
      return low;
    };
    const linesOfNode = (node: Node): readonly [number, number] => [lineAt(node.getStart(file)), lineAt(node.end - 1)];
    return (node) => {
      const name = isFunction(node) ? nameOf(node) : undefined;
      if (name === undefined) return undefined;
      const [first, last] = linesOfNode(node);
      const isRowLine = new Set<number>();
      const leaveOutRows = (inner: Node): void => {
        if (inner !== node && isRow(inner)) {
          const [from, to] = linesOfNode(inner);
          for (let line = from; line <= to; line += 1) isRowLine.add(line);
        } else inner.forEachChild(leaveOutRows);
      };
      node.forEachChild(leaveOutRows);
      let own = 0;
      for (let line = first; line <= last; line += 1) if (kinds[line] === 'code' && !isRowLine.has(line)) own += 1;
      found.push({ path: file.fileName.slice(root.length + 1), name, lines: last - first + 1, own });
      return undefined;
    };
  });
  return found;
}
