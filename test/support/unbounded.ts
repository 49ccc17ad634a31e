// Owns: finding waits without a bound, by their shape: a promise of an event that nothing but the event settles, `once`
// without a signal, and a loop that pauses and looks again without looking at a clock.
import {
  isArrowFunction,
  isAwaitExpression,
  isBlock,
  isCallExpression,
  isDoStatement,
  isForStatement,
  isFunctionExpression,
  isIdentifier,
  isNewExpression,
  isVariableDeclaration,
  isWhileStatement,
  type Node,
} from 'typescript/unstable/ast';
import { skip, sourceFaults } from './source-faults.ts';

/** Waits that end by themselves, whatever is inside them. */
const bounding = /^(?:bounded|happens|Promise\.race)$/;
const event = /\.(?:once|on|close|end|listen)\(\s*(?:resolve|done|\(\))|\.(?:once|on)\(\s*(?:'|\w+\s*(?:===|\?))/;
const pauses = /\bsleep\(|setTimeout\(\s*resolve|setTimeout\(\s*done/;
const clock = /Date\.now\(\)|performance\.now\(\)|\btries\b|\bpatience\b/;

/** `for (let i = 0; i < n; i += 1)`: this many times, whatever happens in it. */
function isCounted(node: Node): boolean {
  if (!isForStatement(node)) return false;
  const name = /^let (\w+) = \d+\b/.exec(node.initializer?.getText() ?? '')?.[1];
  if (name === undefined) return false;
  return (
    new RegExp(`\\b${name} <=? `).test(node.condition?.getText() ?? '') &&
    new RegExp(`^${name} \\+= `).test(node.incrementor?.getText() ?? '')
  );
}

/**
 * `const gone = new Promise(…)` that is named nowhere else than inside a wait with a bound: it only began before that.
 */
function isAwaitedWithin(node: Node): boolean {
  const { parent } = node;
  if (!isVariableDeclaration(parent) || !isIdentifier(parent.name)) return false;
  const { text } = parent.name;
  let block = parent.parent;
  while (!isBlock(block) && block.parent !== undefined) block = block.parent;
  let [inside, outside] = [0, 0];
  const visit = (inner: Node, isBound: boolean): void => {
    if (isIdentifier(inner) && inner.text === text && inner !== parent.name) {
      if (isBound) inside += 1;
      else outside += 1;
    }
    const bounds = isBound || (isCallExpression(inner) && /^(?:bounded|happens)$/.test(inner.expression.getText()));
    inner.forEachChild((child) => visit(child, bounds));
  };
  visit(block, false);
  return inside > 0 && outside === 0;
}

function fault(node: Node, importsOnce: boolean): string | undefined {
  if (isNewExpression(node) && node.expression.getText() === 'Promise') {
    const text = node.arguments?.[0]?.getText() ?? '';
    // A timer inside settles it as well; and whether a port or a path is free to listen on is answered at once.
    if (event.test(text) && !/setTimeout\(|AbortSignal\.timeout|\.listen\(/.test(text) && !isAwaitedWithin(node))
      return 'a promise that only an event settles';
  }
  if (
    importsOnce &&
    isCallExpression(node) &&
    node.expression.getText() === 'once' &&
    !/\bsignal\b/.test(node.getText())
  )
    return 'once without a signal';
  const isLoop = isWhileStatement(node) || isForStatement(node) || isDoStatement(node);
  if (isLoop && !isCounted(node) && pauses.test(node.getText()) && !clock.test(node.getText())) {
    // Of this loop, and not of a function inside it.
    let isOwn = false;
    const visit = (inner: Node): void => {
      if (isArrowFunction(inner) || isFunctionExpression(inner)) return;
      if (isAwaitExpression(inner) && pauses.test(inner.getText())) isOwn = true;
      inner.forEachChild(visit);
    };
    node.forEachChild(visit);
    if (isOwn) return 'a loop that waits and never looks at a clock';
  }
  return undefined;
}

/** `file:line: what`, for every file of a project below one of `folders`. */
export const unbounded = (tsconfig: string, root: string, folders: readonly string[]): readonly string[] =>
  sourceFaults(tsconfig, root, folders, (file) => {
    const importsOnce = /import \{[^}]*\bonce\b[^}]*\} from 'node:events'/.test(file.text);
    // Whatever is inside one of the bounding calls has its bound.
    return (node) =>
      isCallExpression(node) && bounding.test(node.expression.getText()) ? skip : fault(node, importsOnce);
  });
