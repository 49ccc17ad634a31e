// Owns: finding paths of the file system that are made of what was not parsed: every part that `join`, `resolve` or a
// template puts after a slash must be a literal, or a `PathPart` of server/domain/path-parts.ts, by the types of the
// real checker.
import {
  isCallExpression,
  isIdentifier,
  isNoSubstitutionTemplateLiteral,
  isStringLiteral,
  isTemplateExpression,
  type Node,
} from 'typescript/unstable/ast';
import type { Checker, Type } from 'typescript/unstable/sync';
import { sourceFaults } from './source-faults.ts';

/** A value out of a few words that the program itself has, or one that a parser made. */
function isParsed(checker: Checker, type: Type | undefined): boolean {
  if (type === undefined) return false;
  if (type.isUnionType()) return type.getTypes().every((one) => isParsed(checker, one));
  const text = checker.typeToString(type);
  return text === 'PathPart' || text === 'number' || /^"[^"]*"$/.test(text);
}

function isPart(checker: Checker, node: Node): boolean {
  if (isStringLiteral(node) || isNoSubstitutionTemplateLiteral(node)) return true;
  if (isTemplateExpression(node)) return node.templateSpans.every((span) => isPart(checker, span.expression));
  return isParsed(checker, checker.getTypeAtLocation(node));
}

const pathCalls = ['join', 'resolve'];
const places = /director|path|place|runtime|store|objects|incoming|certs|secrets|hostKeys|root|folder/i;

function fault(checker: Checker, node: Node): string | undefined {
  if (isCallExpression(node) && isIdentifier(node.expression) && pathCalls.includes(node.expression.text)) {
    const bad = [...node.arguments].slice(1).find((one) => !isPart(checker, one));
    return bad === undefined ? undefined : `a path of ${bad.getText()}`;
  }
  if (isTemplateExpression(node)) {
    let before = node.head.text;
    const [first] = node.templateSpans;
    // Names of rows are written with a slash, too. A path begins with the root, or with a value whose name says that it
    // is a place.
    const isBelow =
      before === '' && first?.literal.text.startsWith('/') === true && places.test(first.expression.getText());
    if (!before.startsWith('/') && !isBelow) return undefined;
    for (const span of node.templateSpans) {
      if (before.includes('/') && !isPart(checker, span.expression)) return `a path of ${node.getText()}`;
      before += span.literal.text;
    }
  }
  return undefined;
}

/** `file:line: what`, for every file of a project below one of `folders`. */
export const unparsedPaths = (tsconfig: string, root: string, folders: readonly string[]): readonly string[] =>
  sourceFaults(tsconfig, root, folders, () => (node, checker) => fault(checker, node));
