// Owns: `cofferctl completion`.
import type { Output } from '../terminal/output.ts';
import type { Given, Verb } from '../verb/verb.ts';

const general = ['--help', '--json', '--operator', '--identity', '--socket'];

/** Returns one line for each command: its words, then its options. */
function lines(verbs: readonly Verb[]): readonly string[] {
  return verbs.map((one) => {
    const options = one.options.map((option) => `--${option.name}`);
    return `${one.words.join(' ')}|${[...options, ...general].join(' ')}`;
  });
}

/**
 * Returns the completion script. Words are completed one after the other, then options; after an option that takes a
 * file, file names.
 */
const bashScript = (
  verbs: readonly Verb[],
): string => `# bash completion of cofferctl; zsh: autoload -U bashcompinit && bashcompinit first
_cofferctl() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" typed="" word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "$word" in -*) break ;; esac
    typed+="\${typed:+ }$word"
  done
  local line words options candidates="" best="" bestOptions=""
  while IFS='|' read -r words options; do
    if [[ -z "$typed" || "$words " == "$typed "* ]] && [[ "$words" != "$typed" ]]; then
      local rest="\${words#"$typed"}"
      rest="\${rest# }"
      candidates+=" \${rest%% *}"
    fi
    if [[ "$typed " == "$words "* ]] && ((\${#words} > \${#best})); then best="$words"; bestOptions="$options"; fi
  done <<'COMMANDS'
${lines(verbs).join('\n')}
COMMANDS
  case "$previous" in
    --file|--out|--certificate|--identity|--socket|--keys) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  if [[ "$current" == -* || ( -n "$best" && -z "$candidates" ) ]]; then candidates="$bestOptions"; fi
  COMPREPLY=($(compgen -W "$candidates" -- "$current"))
}
complete -F _cofferctl cofferctl
`;

export function completionVerb(verbs: () => readonly Verb[]): Verb {
  const run = async (given: Given): Promise<Output> => {
    const [shell] = given.positionals;
    if (shell !== 'bash' && shell !== 'zsh')
      throw new RangeError(`completion is there for bash and zsh, not for "${shell}"`);
    const script =
      shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${bashScript(verbs())}` : bashScript(verbs());
    return { data: { shell, script }, text: script };
  };
  return {
    words: ['completion'],
    positionals: ['SHELL'],
    options: [],
    help: 'Prints a script that completes commands and options, for bash or zsh.',
    example: 'source <(cofferctl completion bash)',
    operations: [],
    local: run,
    run: (_client, given) => run(given),
  };
}
