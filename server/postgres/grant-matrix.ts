// Owns: the matrix of migrations/grants.sql as a set that can be compared with the catalogue of a database. That file
// is the only statement of what is expected.
// Must never: skip a statement that it does not understand.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CofferdamError } from '../domain/errors.ts';

type ObjectKind = 'table' | 'column' | 'sequence' | 'function' | 'schema';
/**
 * One grant. `name` is a table, `table.column`, a sequence, a function with its argument types, or a schema; `*` means
 * all objects of the kind.
 */
export type Grant = {
  readonly role: string;
  readonly privilege: string;
  readonly kind: ObjectKind;
  readonly name: string;
};

const file = join(import.meta.dirname, '..', '..', 'migrations', 'grants.sql');

const odd = (statement: string): CofferdamError =>
  new CofferdamError('configuration', `migrations/grants.sql: cannot be understood: ${statement.slice(0, 120)}`);

/** Splits a text at the commas that are outside parentheses. */
function parts(text: string): readonly string[] {
  const found: string[] = [];
  let depth = 0;
  let part = '';
  for (const char of text) {
    depth += char === '(' ? 1 : char === ')' ? -1 : 0;
    if (char === ',' && depth === 0) {
      found.push(part.trim());
      part = '';
    } else part += char;
  }
  return [...found, part.trim()];
}

const word = /^[a-z][a-z0-9_]*$/;
const privilege = /^(select|insert|update|delete|execute|usage)(?: ?\(([a-z0-9_, ]+)\))?$/;

function objectsOf(text: string, statement: string): { readonly kind: ObjectKind; readonly names: readonly string[] } {
  const all = /^all (sequence|function)s in schema public$/.exec(text);
  if (all !== null) return { kind: all[1] as 'sequence' | 'function', names: ['*'] };
  if (text === 'schema public') return { kind: 'schema', names: ['public'] };
  const isFunction = text.startsWith('function ');
  const names = parts(isFunction ? text.slice('function '.length) : text);
  if (!names.every((name) => (isFunction ? /^[a-z][a-z0-9_]*\([a-z0-9_, ]*\)$/ : word).test(name)))
    throw odd(statement);
  return { kind: isFunction ? 'function' : 'table', names };
}

function grantsOf(statement: string): readonly Grant[] {
  const match = /^grant (.+?) on (.+) to ([a-z_, ]+)$/.exec(statement);
  if (match === null) throw odd(statement);
  const { kind, names } = objectsOf(match[2] ?? '', statement);
  const roles = parts(match[3] ?? '');
  if (!roles.every((role) => word.test(role))) throw odd(statement);
  return parts(match[1] ?? '').flatMap((text) => {
    const [, verb, columns] = privilege.exec(text) ?? [];
    if (verb === undefined || (columns !== undefined && kind !== 'table')) throw odd(statement);
    return roles.flatMap((role) =>
      names.flatMap((name): readonly Grant[] => {
        if (columns === undefined) return [{ role, privilege: verb.toUpperCase(), kind, name }];
        return parts(columns).map((column) => ({
          role,
          privilege: verb.toUpperCase(),
          kind: 'column',
          name: `${name}.${column}`,
        }));
      }),
    );
  });
}

/**
 * Returns the grants of `text`, which first revokes everything and then grants. A revocation after a grant is not
 * understood and throws `configuration`.
 */
export function parseGrants(text: string): readonly Grant[] {
  const statements = text
    .replace(/--.*$/gm, '')
    .split(';')
    .map((one) => one.trim().replace(/\s+/g, ' '))
    .filter((one) => one !== '');
  const first = statements.findIndex((one) => !one.startsWith('revoke '));
  return statements.slice(first < 0 ? statements.length : first).flatMap(grantsOf);
}

/** Returns the matrix of this version. Throws `configuration` when the file cannot be read or understood. */
export function readGrants(): readonly Grant[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new CofferdamError('configuration', 'migrations/grants.sql cannot be read', { cause });
  }
  return parseGrants(text);
}

/** The contents of the catalogue. Functions are in the catalogue's spelling. */
export type Catalogue = {
  readonly grants: readonly Grant[];
  readonly sequences: readonly string[];
  readonly functions: readonly string[];
  /**
   * From a function as the file spells it to its spelling in the catalogue, or to null when there is no such function.
   */
  readonly spelling: ReadonlyMap<string, string | null>;
};

const keyOf = ({ role, privilege: verb, kind, name }: Grant): string => `${role}: ${verb} on ${kind} ${name}`;

/** Returns the grants that exist and should not, and those that should exist and do not, as texts. */
export function compareGrants(
  expected: readonly Grant[],
  catalogue: Catalogue,
): { readonly excess: string[]; readonly missing: string[] } {
  const wanted = new Set<string>();
  const missing: string[] = [];
  for (const grant of expected) {
    if (grant.name === '*') {
      const names = grant.kind === 'sequence' ? catalogue.sequences : catalogue.functions;
      for (const name of names) wanted.add(keyOf({ ...grant, name }));
    } else if (grant.kind === 'function') {
      const name = catalogue.spelling.get(grant.name);
      if (typeof name === 'string') wanted.add(keyOf({ ...grant, name }));
      else missing.push(keyOf(grant));
    } else wanted.add(keyOf(grant));
  }
  const found = new Set(catalogue.grants.map(keyOf));
  return {
    excess: [...found].filter((key) => !wanted.has(key)).sort(),
    missing: [...missing, ...[...wanted].filter((key) => !found.has(key))].sort(),
  };
}
