// Owns: the error text for parameters of a wrong form: which parameters,
// and what was expected; and checking our own calls before they are sent.
import type { z } from 'zod';
import { CofferdamError } from '../domain/errors.ts';
import type { OperationTable, Params } from './operation.ts';

/** The parameters were read, and do not have the form that the operation takes. */
export class WrongForm extends CofferdamError {}

const namedMax = 3;

/** Returns a path through the parameters as a person reads it: `items.0.publicKey`. */
const nameOf = (path: readonly PropertyKey[]): string => path.map(String).join('.');

/**
 * Returns the issues to show. Of a union, those of the first alternative
 * with the fewest issues are shown, because the others were not meant.
 */
function issuesOf(issues: readonly z.core.$ZodIssue[]): readonly z.core.$ZodIssue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue];
    const [meant = []] = [...issue.errors].sort((a, b) => a.length - b.length);
    return issuesOf(meant.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })));
  });
}

function wrongForm(error: z.ZodError): WrongForm {
  const issues = issuesOf(error.issues);
  const named = issues
    .slice(0, namedMax)
    .map(({ path, message }) => (path.length === 0 ? message : `${nameOf(path)}: ${message}`));
  const more = issues.length > namedMax ? `; and ${issues.length - namedMax} more` : '';
  return new WrongForm('invalid', `the parameters have the wrong form: ${named.join('; ')}${more}`.slice(0, 800));
}

/** Returns the parameters as their schema reads them. Throws WrongForm. */
export function requireForm<S extends z.ZodType>(schema: S, params: unknown): z.infer<S> {
  const parsed = schema.safeParse(params);
  if (!parsed.success) throw wrongForm(parsed.error);
  return parsed.data;
}

/**
 * Checks the parameters of our own call, so that a call that the other side would
 * refuse by its form is never sent, and counts against nobody. Throws WrongForm.
 */
export function checkCall<T extends OperationTable, K extends keyof T & string>(
  table: T,
  op: K,
  params: Params<T, K>,
): void {
  const row = table[op];
  if (row !== undefined) requireForm(row.params, params);
}
