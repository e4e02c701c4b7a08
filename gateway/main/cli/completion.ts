/**
 * `penstock completion`: a script that makes a shell complete verbs, what stands behind them, and options. Generated
 * from the verbs themselves, so that it can't name what isn't there; where it knows nothing, files are completed.
 */
import { positionals } from "./arguments.ts";
import { KIND_NAMES } from "./resource-kinds.ts";
import { COMMON_OPTIONS, UsageError, type Verb } from "./verb.ts";

type Verbs = Readonly<Record<string, Verb>>;

interface Words {
  readonly verb: string;
  readonly summary: string;
  /** What may stand directly behind the verb. */
  readonly second: readonly string[];
  /** With their dashes. */
  readonly options: readonly string[];
}

const SHELLS: Readonly<Record<string, (verbs: readonly Words[]) => string>> = { bash, zsh, fish };

/** `verbs` is asked when the verb runs: this one is among them. */
export function completionOf(verbs: () => Promise<Verbs>): Verb {
  return {
    summary: "print a script that completes commands in bash, zsh or fish",
    usage: ["completion bash|zsh|fish"],
    examples: [
      "completion bash > /etc/bash_completion.d/penstock",
      "completion zsh > /usr/local/share/zsh/site-functions/_penstock",
      "completion fish > ~/.config/fish/completions/penstock.fish",
    ],
    options: {},
    run: async (args, out) => {
      const [shell = ""] = positionals(args, "SHELL");
      const script = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
      if (script === undefined) throw new UsageError(`"${shell}" is not among ${Object.keys(SHELLS).join(", ")}`);
      const text = script(Object.entries(await verbs()).map(([verb, one]) => wordsOf(verb, one)));
      out.print(out.json ? JSON.stringify({ shell, script: text }) : text);
      return 0;
    },
  };
}

function wordsOf(verb: string, { summary, usage, options }: Verb): Words {
  const second = new Set<string>();
  for (const form of usage) {
    const [, word = ""] = form.split(" ");
    if (word === "KIND") for (const kind of KIND_NAMES) second.add(kind);
    // `create`, and `new|build|test`; what users fill in is upper case or in brackets.
    else if (/^[a-z][a-z|-]*$/.test(word)) for (const one of word.split("|")) second.add(one);
  }
  const names = Object.keys({ ...COMMON_OPTIONS, ...options }).toSorted();
  return { verb, summary, second: [...second], options: names.map((name) => `--${name}`) };
}

function bash(verbs: readonly Words[]): string {
  const cases = verbs.map(({ verb, second, options }) => {
    const behind = second.length === 0 ? "" : `((COMP_CWORD == 2)) && words+=" ${second.join(" ")}"`;
    return `      ${verb}) words="${options.join(" ")}"; ${behind} ;;`.replace("; ;;", " ;;").replace(";  ;;", " ;;");
  });
  return `_penstock() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words=""
  if ((COMP_CWORD == 1)); then
    words="${verbs.map(({ verb }) => verb).join(" ")}"
  else
    case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _penstock penstock`;
}

function zsh(verbs: readonly Words[]): string {
  const cases = verbs.flatMap(({ verb, second, options }) => [
    `    ${verb})`,
    ...(second.length === 0 ? [] : [`      (( CURRENT == 3 )) && compadd -- ${second.join(" ")}`]),
    `      compadd -- ${options.join(" ")}`,
    "      _files ;;",
  ]);
  const described = verbs.map(({ verb, summary }) => `    ${quoted(`${verb}:${summary.replaceAll(":", "\\:")}`)}`);
  return `#compdef penstock
_penstock() {
  local -a verbs=(
${described.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  case $words[2] in
${cases.join("\n")}
  esac
}
# Read as a file of $fpath it is called at once; read by \`source\` it says what it is for.
if [[ $funcstack[1] == _penstock ]]; then _penstock "$@"; else compdef _penstock penstock; fi`;
}

function fish(verbs: readonly Words[]): string {
  const lines = verbs.flatMap(({ verb, summary, second, options }) => {
    const behind = `"__fish_seen_subcommand_from ${verb}; and test (count (commandline -opc)) -eq 2"`;
    return [
      `complete -c penstock -n __fish_use_subcommand -f -a ${verb} -d ${quoted(summary)}`,
      ...(second.length === 0 ? [] : [`complete -c penstock -n ${behind} -f -a ${quoted(second.join(" "))}`]),
      ...options.map((name) => `complete -c penstock -n "__fish_seen_subcommand_from ${verb}" -l ${name.slice(2)}`),
    ];
  });
  return lines.join("\n");
}

/** For a POSIX shell, zsh and fish alike: none of our texts has a backslash. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "’")}'`;
}
