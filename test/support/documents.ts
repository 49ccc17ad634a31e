// Owns: the list of the documents of this repository, and the code in them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '..', '..');

export type Code = {
  readonly text: string;
  /** Whether it is a line of a code block. Otherwise it stands between backticks in a sentence. */
  readonly isLine: boolean;
};

/** Returns the paths of all documents, relative to the root. */
export function documents(): readonly string[] {
  const inRoot = readdirSync(root).filter((name) => name.endsWith('.md'));
  const below = readdirSync(join(root, 'docs'), { recursive: true }).map((name) => join('docs', String(name)));
  return [...inRoot, ...below.filter((name) => name.endsWith('.md')).sort(), join('deploy', 'systemd', 'README.md')];
}

export const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Returns each line of a code block, and each text between backticks. */
export function codeOf(text: string): readonly Code[] {
  let isBlock = false;
  return text.split('\n').flatMap((line): readonly Code[] => {
    if (line.startsWith('```')) {
      isBlock = !isBlock;
      return [];
    }
    if (isBlock) return [{ text: line.trim(), isLine: true }];
    return [...line.matchAll(/`([^`]+)`/g)].map(([, words = '']) => ({ text: words, isLine: false }));
  });
}

/** Returns the anchor that GitHub gives to each heading of a document. */
export function anchorsOf(text: string): readonly string[] {
  let isBlock = false;
  return text.split('\n').flatMap((line) => {
    if (line.startsWith('```')) isBlock = !isBlock;
    const [, title] = (isBlock ? null : /^#{1,6} (.*)$/.exec(line)) ?? [];
    if (title === undefined) return [];
    return [
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ];
  });
}
