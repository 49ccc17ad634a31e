// Owns: the sources of the product as the rules of the house read them: which files there are, the kinds of their
// lines, and what they export that no file imports.
import { readdirSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';

/** The folders that make up the product. */
export const productFolders = ['server', 'admin-cli', 'certs', 'verifier'] as const;

const isSource = (folder: string, name: string): boolean =>
  name.endsWith('.ts') || (folder === 'verifier' && name.endsWith('.js'));

/** The paths, relative to `root`, of the source files of one folder, in alphabetical order. */
export function sourcesIn(root: string, folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && isSource(folder, entry.name) && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}

export const textOf = (root: string, path: string): string => readFileSync(join(root, path), 'utf8');

export type Lines = {
  readonly all: number;
  /** Lines that hold more than a comment. */
  readonly code: number;
  /** Lines that hold nothing but a comment. */
  readonly comment: number;
  readonly over120: number;
};

/**
 * Says for each line of a source whether it is code, a comment, or blank. A comment behind code on the same line is
 * code.
 */
export function kindsOfLines(text: string): readonly ('code' | 'comment' | 'blank')[] {
  let isInside = false;
  return text
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => {
      const trimmed = line.trim();
      if (isInside || trimmed.startsWith('/*')) {
        isInside = !trimmed.includes('*/');
        return 'comment';
      }
      if (trimmed === '') return 'blank';
      return trimmed.startsWith('//') ? 'comment' : 'code';
    });
}

/** Counts the lines of one source by their kind. */
export function linesOf(text: string): Lines {
  const kinds = kindsOfLines(text);
  const over120 = text.split('\n').filter((line) => line.length > 120).length;
  return {
    all: kinds.length,
    code: kinds.filter((kind) => kind === 'code').length,
    comment: kinds.filter((kind) => kind === 'comment').length,
    over120,
  };
}

const namesIn = (list: string): readonly string[] =>
  list
    .split(',')
    .map((one) => one.trim().replace(/^type /, ''))
    .filter((one) => one !== '');

/** The names that a source exports. */
const exportedBy = (text: string): readonly string[] => [
  ...[
    ...text.matchAll(
      /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|const|let|class|type|interface) (\w+)/gm,
    ),
  ].map(([, name = '']) => name),
  ...[...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list = '']) =>
    namesIn(list).map((one) => one.split(' as ').at(-1) ?? one),
  ),
];

/**
 * The exports of these files, as `path name`, that no other file of `users` imports. A file that is imported as a whole
 * (`import * as`, `import(…)`) counts as used with every name.
 */
export function unusedExports(
  root: string,
  paths: readonly string[],
  users: readonly string[] = [...productFolders, 'test', 'bench', 'scripts'],
): readonly string[] {
  const used = new Set<string>();
  for (const user of users.flatMap((folder) => sourcesIn(root, folder))) {
    const text = textOf(root, user);
    for (const [, list, name = ''] of text.matchAll(
      /(?:import|export)\s+(?:type\s+)?(?:\{([^}]*)\}|\*(?: as \w+)?)\s+from\s+'(\.[^']+|\$\{[^']+)'/g,
    )) {
      const path = normalize(join(user, '..', name));
      if (list === undefined) used.add(path);
      else for (const one of namesIn(list)) used.add(`${path} ${one.split(' as ')[0]}`);
    }
    for (const [, name = ''] of text.matchAll(/import\('(\.[^']+)'\)/g)) used.add(normalize(join(user, '..', name)));
  }
  return paths.flatMap((path) =>
    used.has(path)
      ? []
      : exportedBy(textOf(root, path))
          .map((name) => `${path} ${name}`)
          .filter((one) => !used.has(one)),
  );
}
