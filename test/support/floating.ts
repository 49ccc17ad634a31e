// Owns: finding promises without an owner, with the types of the real checker: statements that are promises, `void`
// before one, and functions that return one where nothing is expected. Biome's rules remain as the fast half: they see
// neither through generics nor into callbacks, and let `void` pass.
import {
  isArrowFunction,
  isBinaryExpression,
  isCallExpression,
  isExpressionStatement,
  isFunctionExpression,
  isNewExpression,
  isVoidExpression,
  type Node,
} from 'typescript/unstable/ast';
import { type Checker, SignatureKind, type Type, TypeFlags } from 'typescript/unstable/sync';
import { sourceFaults } from './source-faults.ts';

const names = ['Promise', 'PromiseLike'];

/** Returns whether a value of this type is, or may be, a promise, or a list of promises. */
function isPromise(checker: Checker, type: Type | undefined, deeper = 3): boolean {
  // Types may contain themselves.
  if (type === undefined || deeper === 0) return false;
  if (type.isUnionType() || type.isIntersectionType())
    return type.getTypes().some((one) => isPromise(checker, one, deeper - 1));
  if (names.includes(type.getSymbol()?.name ?? '')) return true;
  return (
    checker.isArrayType(type) &&
    type.isTypeReference() &&
    checker.getTypeArguments(type).some((one) => isPromise(checker, one, deeper - 1))
  );
}

/** What a function is expected to return, when it stands where a function is expected. */
function expectsNothing(checker: Checker, type: Type | undefined): boolean {
  if (type === undefined) return false;
  const kinds = type.isUnionType() ? type.getTypes() : [type];
  const signatures = kinds.flatMap((one) => [...checker.getSignaturesOfType(one, SignatureKind.Call)]);
  const given = signatures.map((one) => checker.getReturnTypeOfSignature(one));
  return given.length > 0 && given.every((one) => one !== undefined && (one.flags & TypeFlags.Void) !== 0);
}

/**
 * Kept in a variable or field by way of `held`, or made by whoever settles it: those who await it are told of its
 * failure.
 */
function isKept(statement: Node): boolean {
  if (!isBinaryExpression(statement)) return false;
  const { right } = statement;
  if (isNewExpression(right)) return true;
  return isCallExpression(right) && /^(?:(?:detached\.)?held|Promise\.resolve)$/.test(right.expression.getText());
}

function fault(checker: Checker, node: Node): string | undefined {
  if (
    isExpressionStatement(node) &&
    !isKept(node.expression) &&
    isPromise(checker, checker.getTypeAtLocation(node.expression))
  )
    return 'a promise that nobody owns';
  if (isVoidExpression(node) && isPromise(checker, checker.getTypeAtLocation(node.expression)))
    return 'a promise that is thrown away';
  if (
    (isArrowFunction(node) || isFunctionExpression(node)) &&
    expectsNothing(checker, checker.getContextualType(node))
  ) {
    const own = checker.getSignatureFromDeclaration(node);
    if (own !== undefined && isPromise(checker, checker.getReturnTypeOfSignature(own)))
      return 'gives a promise where nothing is expected';
  }
  return undefined;
}

/** `file:line: what`, for every file of a project below one of `folders`. */
export const floating = (tsconfig: string, root: string, folders: readonly string[]): readonly string[] =>
  sourceFaults(tsconfig, root, folders, () => (node, checker) => fault(checker, node));
