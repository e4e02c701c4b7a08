/**
 * What a compiler's words mean to somebody who comes from TypeScript: the same message, and what to write instead. And why a source
 * that seems to have a hook has none.
 */
import type { Diagnostic } from "./diagnostic.ts";

const IN_TYPESCRIPT = "plugins in TypeScript (`plugin new NAME --lang ts`) have them";

/** Of AssemblyScript's messages, each with its advice. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/Not implemented: Closures/, `a function can't use variables of the one around it: write a loop; ${IN_TYPESCRIPT}`],
  [/Not implemented: Exceptions/, `ask before, or compare with null; ${IN_TYPESCRIPT}`],
  [/Not implemented: Regular expressions/, `use indexOf, startsWith, split; ${IN_TYPESCRIPT}`],
  [/Not implemented: Iterators/, "write `for (let i = 0; i < list.length; i++)`"],
  [/Not implemented: union types/i, "`string | null` is the only kind there is"],
  [/Cannot find name 'any'/, "every value has a type of its own"],
  [
    /Cannot find name '(JSON)'/,
    '`import { json } from "penstock/assembly"`, whose functions read and write members of JSON text',
  ],
  [/Cannot find name '(fetch|kept|kv|maps|log|config|respond|Action)'/, '`import { $1 } from "penstock/assembly"`'],
  [/\| null' is not assignable/, "compare with null first: `const value = …; if (value !== null) …`"],
  [/is not assignable to type 'string'/, "texts of other values are made by `.toString()`"],
  [
    /File '~lib\/penstock\/plugin\.ts' not found/,
    "plugins in AssemblyScript import `penstock/assembly`; `penstock/plugin` is for those in TypeScript (src/index.ts)",
  ],
  [/File '~lib\/(?!penstock)/, "a plugin is made of its own files and `penstock/assembly`; packages are not there"],
];

/** The message with what to do about it, its types as they are written. */
export function advised(message: string): string {
  const plain = message.replaceAll("~lib/string/String", "string");
  for (const [pattern, advice] of ADVICE) {
    const found = pattern.exec(plain);
    if (found !== null) return `${plain} (${advice.replace("$1", found[1] ?? "")})`;
  }
  return plain;
}

/** Functions that somebody may have meant to be hooks: exported or not, of any case, `async`, or arrows. */
const MEANT = /^[ \t]*(export[ \t]+)?(?:(async)[ \t]+)?(function|const|let)[ \t]+(on[a-z]\w*)/gim;

/** A source's would-be hooks that are none, each with its line. `found`: those that it has. With none, they are why it is no plugin. */
export function missedHooks(
  source: string,
  file: string,
  hooks: readonly string[],
  found: readonly string[],
): Diagnostic[] {
  const severity = found.every((hook) => hook === "onConfigure") ? "error" : "warning";
  const missed: Diagnostic[] = [];
  for (const match of source.matchAll(MEANT)) {
    const [, exported, isAsync, kind, name = ""] = match;
    const meant = hooks.find((hook) => hook.toLowerCase() === name.toLowerCase());
    if (meant !== undefined && found.includes(meant)) continue;
    const isFunction = kind === "function";
    const message =
      meant !== undefined
        ? reason(name, meant, exported !== undefined, isAsync !== undefined, isFunction)
        : exported !== undefined && isFunction && /^on[A-Z]/.test(name)
          ? `${name} is no hook: those are ${hooks.join(", ")}`
          : "";
    if (message === "") continue;
    missed.push({ severity, code: 0, message, file, line: lineOf(source, match.index), column: 1 });
  }
  return missed;
}

function reason(name: string, meant: string, isExported: boolean, isAsync: boolean, isFunction: boolean): string {
  if (isAsync) return `${name}: hooks are not async: what waits, waits without a promise`;
  if (!isExported) return `${name} is not exported: \`export function ${meant}\``;
  if (!isFunction) return `${name} is a value: \`export function ${meant}\``;
  return name === meant ? "" : `${name} is no hook: its name is ${meant}`;
}

/** Where a function of this name is declared; 1 where none is. */
export function lineOfFunction(source: string, name: string): number {
  const at = source.search(new RegExp(`\\bfunction\\s+${name}\\b`));
  return at < 0 ? 1 : lineOf(source, at);
}

function lineOf(source: string, offset: number): number {
  return source.slice(0, offset).split("\n").length;
}
