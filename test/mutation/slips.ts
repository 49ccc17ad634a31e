// Owns: which slips a source can have: the small ones that a tired person makes, one at a time, found in its syntax and
// with its types.
// Must never: make one that the compiler refuses where the types can say so: that one is caught already.
import {
  type Expression,
  isArrayLiteralExpression,
  isAwaitExpression,
  isBinaryExpression,
  isBlock,
  isBreakOrContinueStatement,
  isCallExpression,
  isCaseClause,
  isConditionalExpression,
  isConstructorDeclaration,
  isElementAccessExpression,
  isExpression,
  isExpressionStatement,
  isForStatement,
  isFunctionLikeDeclaration,
  isIfStatement,
  isImportDeclaration,
  isInterfaceDeclaration,
  isNewExpression,
  isNumericLiteral,
  isPrefixUnaryExpression,
  isPropertyAccessExpression,
  isPropertyAssignment,
  isReturnStatement,
  isSpreadElement,
  isStringLiteral,
  isTemplateExpression,
  isThrowStatement,
  isTypeAliasDeclaration,
  isTypeNode,
  isWhileStatement,
  type Node,
  type SourceFile,
} from 'typescript/unstable/ast';
import type { Checker } from 'typescript/unstable/sync';

export type Slip = {
  /** 1 for the first line. */
  readonly line: number;
  readonly start: number;
  readonly end: number;
  /** What replaces it, without types. */
  readonly text: string;
  /**
   * The line with the slip marked in it: `if (⟦a < b → a <= b⟧) return;`. It is the slip's name: it stays when lines
   * move.
   */
  readonly name: string;
};

/**
 * A changed boundary and the negation; the second is left out where the whole condition is held to true and to false
 * anyway.
 */
const comparisons: Readonly<Record<string, readonly string[]>> = {
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '===': ['!=='],
  '!==': ['==='],
};
const arithmetic: Readonly<Record<string, string>> = {
  '+': '-',
  '-': '+',
  '*': '/',
  '/': '*',
  '%': '*',
  '<<': '>>',
  '>>': '<<',
  '&': '|',
  '|': '&',
  '+=': '-=',
  '-=': '+=',
};
const likeNames = new Map([
  ['min', 'max'],
  ['max', 'min'],
  ['every', 'some'],
  ['some', 'every'],
  ['startsWith', 'endsWith'],
  ['floor', 'ceil'],
  ['ceil', 'floor'],
]);
/** Texts for people, recognised by their names: what they say is no rule. */
const told = ['says', 'note', 'what', 'help', 'message', 'rule'];

/** Every slip of one file. `plain`: its text with the types blanked out, as it runs. */
export function slipsIn(checker: Checker, file: SourceFile, plain: string): readonly Slip[] {
  const { text } = file;
  if (plain.length !== text.length) throw new Error('the types were not replaced by blanks');
  const slips: Slip[] = [];
  const code = (node: Node): string => plain.slice(node.getStart(file), node.end);

  const putSpan = (start: number, end: number, instead: string): void => {
    if (plain.slice(start, end) === instead) return;
    const from = text.lastIndexOf('\n', start - 1) + 1;
    const to = text.indexOf('\n', end);
    const short = (one: string): string => one.replace(/\s+/g, ' ');
    const name = `${short(text.slice(from, start)).trimStart()}⟦${short(text.slice(start, end))} → ${short(instead)}⟧${short(text.slice(end, to < 0 ? undefined : to))}`;
    slips.push({ line: text.slice(0, start).split('\n').length, start, end, text: instead, name });
  };
  const put = (node: Node, instead: string): void => putSpan(node.getStart(file), node.end, instead);

  const typeOf = (node: Node): string => {
    const type = checker.getTypeAtLocation(node);
    return type === undefined ? '' : checker.typeToString(checker.getBaseTypeOfLiteralType(type) ?? type);
  };
  /** A text or number that must be one of a few words is checked by the compiler. */
  const mayBeAny = (node: Expression, any: 'string' | 'number'): boolean => {
    const expected = checker.getContextualType(node);
    if (expected === undefined) return true;
    return checker.isTypeAssignableTo(any === 'string' ? checker.getStringType() : checker.getNumberType(), expected);
  };
  const fit = (one: Expression, other: Expression): boolean => {
    const [a, b] = [checker.getTypeAtLocation(one), checker.getTypeAtLocation(other)];
    return a !== undefined && b !== undefined && checker.isTypeAssignableTo(a, b) && checker.isTypeAssignableTo(b, a);
  };
  /**
   * The whole condition of a branch, or a whole boolean result: held to true and to false, which is more than the
   * negation.
   */
  const isWhole = (node: Node): boolean => {
    const { parent } = node;
    if (isIfStatement(parent)) return parent.expression === node;
    if (isConditionalExpression(parent)) return parent.condition === node;
    return isReturnStatement(parent) || (isFunctionLikeDeclaration(parent) && 'body' in parent && parent.body === node);
  };
  const constants = (node: Expression): void => {
    const type = typeOf(node);
    if (type === 'boolean') for (const instead of ['true', 'false']) put(node, instead);
    else if (isBinaryExpression(node) || isCallExpression(node) || isConditionalExpression(node)) {
      if (type === 'number') put(node, '0');
      if (type === 'string') put(node, "''");
    }
  };
  const isError = (node: Node): boolean =>
    isNewExpression(node)
      ? /Error$/.test(node.expression.getText(file))
      : isCallExpression(node) && /^(?:fault|fail|tooFar)$/.test(node.expression.getText(file));

  const binary = (node: Node): void => {
    if (!isBinaryExpression(node)) return;
    const { left, right } = node;
    const operator = node.operatorToken.getText(file);
    const at = node.operatorToken;
    const turned = comparisons[operator];
    if (turned !== undefined) {
      const [boundary, around] = turned.length === 2 ? turned : [undefined, turned[0]];
      if (boundary !== undefined) put(at, boundary);
      if (around !== undefined && !isWhole(node)) put(at, around);
    }
    if (operator === '&&' || operator === '||') {
      put(at, operator === '&&' ? '||' : '&&');
      put(node, `(${code(left)})`);
      put(node, `(${code(right)})`);
    }
    const other = arithmetic[operator];
    if (other !== undefined && typeOf(left) === 'number' && typeOf(right) === 'number') put(at, other);
  };

  /** A number or text behind `??` of an element: the compiler requires it, and nothing reaches it. */
  const isUnreached = (node: Node): boolean => {
    const { parent } = node;
    if (!isBinaryExpression(parent) || parent.right !== node || parent.operatorToken.getText(file) !== '??')
      return false;
    return (
      isElementAccessExpression(parent.left) || isPropertyAccessExpression(parent.left) || isCallExpression(parent.left)
    );
  };
  const literal = (node: Node): void => {
    if (isUnreached(node) || (isPropertyAssignment(node.parent) && node.parent.name === node)) return;
    if (isNumericLiteral(node) && mayBeAny(node, 'number')) {
      const value = Number(node.getText(file).replaceAll('_', ''));
      put(node, String(value + 1));
      if (value >= 1) put(node, String(value - 1));
    }
    if ((isStringLiteral(node) && code(node).length > 2 && mayBeAny(node, 'string')) || isTemplateExpression(node)) {
      const { parent } = node;
      if (isCaseClause(parent) || isError(parent)) return;
      if (isPropertyAssignment(parent) && told.includes(parent.name.getText(file))) return;
      if (isTemplateExpression(node) && isWhole(node)) return;
      put(node, "''");
    }
  };

  const statement = (node: Node): void => {
    if (isIfStatement(node) || isConditionalExpression(node)) {
      const condition = isIfStatement(node) ? node.expression : node.condition;
      for (const instead of ['true', 'false']) put(condition, instead);
    } else if (isWhileStatement(node)) put(node.expression, 'false');
    else if (isForStatement(node) && node.condition !== undefined) put(node.condition, 'false');
    else if (isReturnStatement(node) && node.expression !== undefined) constants(node.expression);
    else if (isExpressionStatement(node)) {
      const inConstructor = isBlock(node.parent) && isConstructorDeclaration(node.parent.parent);
      if (!inConstructor) put(node, ';');
    } else if (isThrowStatement(node) || isBreakOrContinueStatement(node)) {
      const alone = isIfStatement(node.parent) || isCaseClause(node.parent);
      if (!alone) put(node, ';');
    } else if (isFunctionLikeDeclaration(node) && 'body' in node && node.body !== undefined && isExpression(node.body))
      constants(node.body);
  };

  const expression = (node: Node): void => {
    if (isPrefixUnaryExpression(node) && code(node).startsWith('!') && !isWhole(node))
      put(node, `(${code(node.operand)})`);
    if (isAwaitExpression(node)) put(node, `(${code(node.expression)})`);
    if (isCallExpression(node)) {
      const [first, second] = node.arguments;
      const isSpread = (one: Node | undefined): boolean => one !== undefined && isSpreadElement(one);
      // The smaller of two numbers is the same number, whichever is named first.
      const isSymmetric = /^Math\.(?:min|max)$/.test(node.expression.getText(file));
      const areTwo = first !== undefined && second !== undefined && !isSpread(first) && !isSpread(second);
      if (areTwo && !isSymmetric && !isError(node) && fit(first, second))
        putSpan(first.getStart(file), second.end, `${code(second)}, ${code(first)}`);
      const called = node.expression;
      if (isPropertyAccessExpression(called)) {
        const instead = likeNames.get(called.name.getText(file));
        if (instead !== undefined) put(called.name, instead);
      }
    }
    // A part of what a key, a hash or a text is made of. Texts in it are emptied in any case.
    if (isArrayLiteralExpression(node) && node.elements.length > 1)
      for (const [i, element] of node.elements.entries()) {
        const [before, next] = [node.elements[i - 1], node.elements[i + 1]];
        if (isStringLiteral(element) || isNumericLiteral(element) || !isInFunction(node)) continue;
        if (next !== undefined) putSpan(element.getStart(file), next.getStart(file), '');
        else if (before !== undefined) putSpan(before.end, element.end, '');
      }
  };

  const visit = (node: Node): void => {
    if (isTypeNode(node) || isInterfaceDeclaration(node) || isTypeAliasDeclaration(node) || isImportDeclaration(node))
      return;
    statement(node);
    binary(node);
    expression(node);
    literal(node);
    node.forEachChild(visit);
  };
  file.forEachChild(visit);
  return slips;
}

function isInFunction(node: Node): boolean {
  for (let at: Node | undefined = node; at !== undefined; at = at.parent)
    if (isFunctionLikeDeclaration(at)) return true;
  return false;
}
