// Owns: the statements in a file of the server: its texts, by the function or constant in which they stand.

/**
 * The functions and constants of a file, each with its text. Constants that are texts are inserted where they are used.
 */
function parts(text: string): readonly { readonly name: string; readonly text: string }[] {
  const texts = new Map(
    [...text.matchAll(/^const (\w+) =\s*(`[^`]*`|'[^'\n]*'|"[^"\n]*")/gm)].map(([, name = '', value = '']) => [
      name,
      value.slice(1, -1),
    ]),
  );
  const whole = (one: string): string => one.replace(/\$\{(\w+)\}/g, (all, name: string) => texts.get(name) ?? all);
  const starts = [...text.matchAll(/^(?:export )?(?:async )?(?:function|const) (\w+)/gm)];
  return starts.map((match, i) => ({
    name: match[1] ?? '',
    text: whole(whole(text.slice(match.index, starts[i + 1]?.index))),
  }));
}

/** The texts of a file. `at` is the name of the function or constant. */
export const statementsOf = (text: string): readonly { readonly at: string; readonly text: string }[] =>
  parts(text).flatMap((part) =>
    [...part.text.matchAll(/`[^`]*`|'[^'\n]*'|"[^"\n]*"/g)].map(([one]) => ({ at: part.name, text: one })),
  );
