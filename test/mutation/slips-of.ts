// Owns: the slips of files of a project, with the types of the real checker.
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { API } from 'typescript/unstable/sync';
import { type Slip, slipsIn } from './slips.ts';

export type FileSlip = Slip & { readonly file: string };

/** `files`: below `root`, of the project that the `tsconfig.json` there describes. */
export function slipsOf(root: string, files: readonly string[]): readonly FileSlip[] {
  const api = new API({ cwd: root });
  try {
    const [project] = api.updateSnapshot({ openProjects: [join(root, 'tsconfig.json')] }).getProjects();
    if (project === undefined) throw new Error('the project cannot be opened');
    return files.flatMap((file) => {
      const source = project.program.getSourceFile(join(root, file));
      if (source === undefined) throw new Error(`${file} cannot be read`);
      const plain = stripTypeScriptTypes(readFileSync(join(root, file), 'utf8'));
      return slipsIn(project.checker, source, plain).map((slip) => ({ ...slip, file }));
    });
  } finally {
    api.close();
  }
}
