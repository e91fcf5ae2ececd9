// The completion of the command for a shell: verbs, options, their choices, files, and the names of
// the domains that there are. Both shells get the same words from the same table of verbs.

import { HELP_OPTION } from './arguments.ts'
import type { OptionDefinition, Verb } from './verb.ts'

export const SHELLS = ['bash', 'zsh'] as const
type Shell = (typeof SHELLS)[number]

/** What an operand or a value of an option is completed with. */
type Kind = 'domains' | 'files' | 'verbs' | 'nothing' | { readonly words: readonly string[] }

export function completionScript(shell: Shell, verbs: readonly Verb[]): string {
  const cases = verbs.map((verb) => verbCase(shell, verb))
  return shell === 'bash' ? bash(verbs, cases) : zsh(verbs, cases)
}

/** For a verb: what its options are, and what follows each of those with a value. */
function verbCase(shell: Shell, verb: Verb): string {
  const options = [...verb.options, HELP_OPTION]
  const words = options.flatMap(({ name, short }) =>
    short ? [`--${name}`, `-${short}`] : [`--${name}`],
  )
  const values = options.filter(({ value }) => value !== undefined)
  const previous = values.map((option) => {
    const pattern = option.short ? `--${option.name}|-${option.short}` : `--${option.name}`
    return `        ${pattern}) ${offer(shell, valueKind(option))}; return ;;`
  })
  return [
    `    ${verb.name})`,
    ...(previous.length > 0 ? ['      case $prev in', ...previous, '      esac'] : []),
    `      case $cur in -*) ${offer(shell, { words })}; return ;; esac`,
    `      ${offer(shell, operandKind(verb))} ;;`,
  ].join('\n')
}

function valueKind({ value, choices, name }: OptionDefinition): Kind {
  if (choices) return { words: choices }
  if (value === 'FILE') return 'files'
  return value === 'DOMAIN' || name === 'domain' ? 'domains' : 'nothing'
}

function operandKind({ name, operands = '' }: Verb): Kind {
  if (name === 'help') return 'verbs'
  if (/domain-(id|name)/.test(operands)) return 'domains'
  if (operands.includes('configfile')) return 'files'
  const choices = /^[a-z]+(\|[a-z]+)+$/.exec(operands)?.[0].split('|')
  return choices ? { words: choices } : 'nothing'
}

function offer(shell: Shell, kind: Kind): string {
  if (typeof kind === 'object') {
    const words = kind.words.join(' ')
    return shell === 'bash' ? `_xenolith_words "${words}"` : `compadd -- ${words}`
  }
  if (kind === 'nothing') return ':'
  return `_xenolith_${kind}`
}

function bash(verbs: readonly Verb[], cases: readonly string[]): string {
  return `# Completion of xenolith for bash: source <(xenolith completion bash)
_xenolith_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_xenolith_files() { mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames 2>/dev/null; }
_xenolith_domains() { _xenolith_words "$("\${COMP_WORDS[0]}" list --names 2>/dev/null)"; }
_xenolith_verbs() { _xenolith_words "${verbs.map(({ name }) => name).join(' ')}"; }
_xenolith() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then _xenolith_verbs; return; fi
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
}
complete -F _xenolith xenolith ./xenolith
`
}

function zsh(verbs: readonly Verb[], cases: readonly string[]): string {
  const described = verbs.map(
    ({ name, summary }) => `    '${name}:${summary.replaceAll("'", "'\\''")}'`,
  )
  return `#compdef xenolith
# Completion of xenolith for zsh: source <(xenolith completion zsh)
_xenolith_files() { _files; }
_xenolith_domains() { compadd -- \${(f)"$($words[1] list --names 2>/dev/null)"}; }
_xenolith_verbs() {
  local -a verbs=(
${described.join('\n')}
  )
  _describe verb verbs
}
_xenolith() {
  local cur=$words[CURRENT] prev=$words[CURRENT-1]
  if ((CURRENT == 2)); then _xenolith_verbs; return; fi
  case $words[2] in
${cases.join('\n')}
  esac
}
if [[ $funcstack[1] = _xenolith ]]; then _xenolith "$@"; else compdef _xenolith xenolith; fi
`
}
