// Owns: the walk of the house rules through sources, with TypeScript's own parser and checker: each node of each file
// is shown to a rule, which says what is wrong.
import type { Node, SourceFile } from 'typescript/unstable/ast';
import { API, type Checker } from 'typescript/unstable/sync';

/** `skip`: nothing inside this node is examined. Anything else is what is wrong with it. */
export const skip = Symbol('skip');
export type Rule = (node: Node, checker: Checker) => string | typeof skip | undefined;

/** `file:line: what`, for every file of a project below one of `folders`. `ruleOf` returns the rule for one file. */
export function sourceFaults(
  tsconfig: string,
  root: string,
  folders: readonly string[],
  ruleOf: (file: SourceFile) => Rule,
): readonly string[] {
  const api = new API({ cwd: root });
  try {
    const [project] = api.updateSnapshot({ openProjects: [tsconfig] }).getProjects();
    if (project === undefined) throw new Error('the project cannot be opened');
    const found: string[] = [];
    let files = 0;
    for (const name of project.program.getSourceFileNames()) {
      if (!folders.some((folder) => name.startsWith(`${root}/${folder}/`))) continue;
      const file = project.program.getSourceFile(name);
      if (file === undefined) throw new Error(`${name} cannot be read`);
      files += 1;
      const rule = ruleOf(file);
      const visit = (node: Node): void => {
        const what = rule(node, project.checker);
        if (what === skip) return;
        if (what !== undefined) {
          const line = file.text.slice(0, node.getStart(file)).split('\n').length;
          found.push(`${name.slice(root.length + 1)}:${line}: ${what}`);
        }
        node.forEachChild(visit);
      };
      visit(file);
    }
    if (files === 0) throw new Error('no file was looked at');
    return found;
  } finally {
    api.close();
  }
}
