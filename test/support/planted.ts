// Owns: a program of one file that exists only so that a rule of the house finds something in it.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Teardown, temporaryDirectory } from './database.ts';

const root = join(import.meta.dirname, '..', '..');
const compilerOptions = {
  target: 'es2024',
  lib: ['es2024'],
  module: 'nodenext',
  strict: true,
  noEmit: true,
  types: ['node'],
};

/**
 * Returns the lines at which `find` reports something about a program with this text, each once, in order. `find`
 * returns `file:line: …`.
 */
export function linesFoundIn(
  t: Teardown,
  text: string,
  find: (configFile: string, directory: string, folders: readonly string[]) => readonly string[],
): readonly number[] {
  const directory = temporaryDirectory(t);
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  mkdirSync(join(directory, 'room'));
  writeFileSync(join(directory, 'room', 'planted.ts'), text);
  const configFile = join(directory, 'tsconfig.json');
  writeFileSync(configFile, JSON.stringify({ compilerOptions, include: ['room'] }));
  const lines = find(configFile, directory, ['room']).map((one) => Number(one.split(':')[1]));
  return [...new Set(lines)].sort((a, b) => a - b);
}
