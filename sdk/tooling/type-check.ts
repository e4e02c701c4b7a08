/**
 * Checks the types of a plugin in TypeScript, with the compiler that its folder, or this package's place, has installed. The builder
 * erases types; without this, what is wrong with them is found by the first request. Checked as it will run: the plugin's own
 * `tsconfig.json` decides how strictly, but the language's library and `console` are all that is there, and each hook is held
 * against the way it will be called.
 */
import { execFile } from "node:child_process";
import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join, relative } from "node:path";
import { hookTypes } from "./component-entry.ts";
import type { Diagnostic } from "./diagnostic.ts";

const SDK = join(import.meta.dirname, "../typescript/index.ts");
const WORLD = join(import.meta.dirname, "../types/world.d.ts");
const HOOKS_FILE = "hooks.ts";
const GLOBALS_FILE = "globals.d.ts";
/** What a wrong declaration can lead to is told once, not a thousand times. */
const DIAGNOSTICS_MAX = 50;
const OUTPUT_BYTES_MAX = 16 * 2 ** 20;

const GLOBALS = `interface Console {
${["debug", "info", "log", "warn", "error"].map((level) => `  ${level}(...values: unknown[]): void;`).join("\n")}
}
declare var console: Console;
`;

export interface TypeCheck {
  /** Of the plugin. */
  readonly folder: string;
  /** Its source, from there. */
  readonly source: string;
  readonly hooks: readonly string[];
  /** A folder of the builder's own. */
  readonly work: string;
}

/** Errors of the plugin's files. A compiler that is not there is told as `info`: the plugin is built all the same. */
export async function checkTypes(check: TypeCheck): Promise<Diagnostic[]> {
  const compiler = compilerFor(check.folder);
  if (compiler === null)
    return [note("types were not checked: `npm install typescript` beside the plugin, and they are")];
  await layOut(check);
  const { output, failed } = await run(compiler, check);
  const found = diagnosticsOf(output, check);
  // A compiler that fails without a word about any file is the compiler's trouble.
  if (failed && found.length === 0) return [note(`types were not checked: ${output.trim()}`)];
  const told = await Promise.all(found.map((one) => placed(one, check)));
  return told.filter((one) => one !== null).slice(0, DIAGNOSTICS_MAX);
}

function note(message: string): Diagnostic {
  return { severity: "info", code: 0, message, file: "", line: 0, column: 0 };
}

/** Of the plugin's own folder, or of this package's; null: there is none. */
function compilerFor(folder: string): string | null {
  for (const from of [folder, import.meta.dirname]) {
    try {
      return join(dirname(createRequire(join(from, "from.js")).resolve("typescript/package.json")), "bin/tsc");
    } catch {
      // The next place.
    }
  }
  return null;
}

async function layOut({ folder, source, hooks, work }: TypeCheck): Promise<void> {
  const own = join(folder, "tsconfig.json");
  const hasOwn = await access(own).then(
    () => true,
    () => false,
  );
  const config = {
    ...(hasOwn ? { extends: own } : {}),
    compilerOptions: {
      ...(hasOwn ? {} : { strict: true }),
      target: "esnext",
      lib: ["esnext"],
      types: [],
      module: "esnext",
      moduleResolution: "bundler",
      paths: { "penstock/plugin": [SDK] },
      allowImportingTsExtensions: true,
      allowJs: true,
      checkJs: false,
      noEmit: true,
      composite: false,
      incremental: false,
      skipLibCheck: true,
    },
    files: [HOOKS_FILE, GLOBALS_FILE, WORLD],
    include: [],
  };
  await mkdir(work, { recursive: true });
  await writeFile(join(work, "tsconfig.json"), JSON.stringify(config));
  await writeFile(join(work, GLOBALS_FILE), GLOBALS);
  await writeFile(join(work, HOOKS_FILE), hookTypes(join(folder, source), hooks));
}

function run(compiler: string, { folder, work }: TypeCheck): Promise<{ output: string; failed: boolean }> {
  const args = [compiler, "--project", work, "--pretty", "false"];
  const options = { cwd: folder, maxBuffer: OUTPUT_BYTES_MAX };
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      resolve({ output: stdout === "" ? stderr : stdout, failed: error !== null });
    });
  });
}

/** `src/index.ts(3,7): error TS2322: …`; lines that are indented go on with the message. */
function diagnosticsOf(output: string, { folder }: TypeCheck): Diagnostic[] {
  const found: { file: string; line: number; column: number; code: number; message: string }[] = [];
  for (const text of output.split("\n")) {
    const [, file, line, column, code, message = ""] = /^(.+)\((\d+),(\d+)\): error TS(\d+): (.*)$/.exec(text) ?? [];
    const last = found.at(-1);
    if (file !== undefined) {
      const path = isAbsolute(file) ? relative(folder, file) : file;
      found.push({ file: path, line: Number(line), column: Number(column), code: Number(code), message });
    } else if (last !== undefined && /^\s+\S/.test(text)) last.message += `\n${text}`;
  }
  return found.map((one) => ({ severity: "error", ...one }));
}

/** In the plugin; null: in a file of ours that another strictness than ours finds fault with. */
async function placed(found: Diagnostic, { folder, source, hooks, work }: TypeCheck): Promise<Diagnostic | null> {
  if (!found.file.startsWith("..")) return found;
  if (relative(folder, join(work, HOOKS_FILE)) !== found.file) return null;
  const [, hook = ""] = /^export const (\w+)/.exec(hookTypes("", hooks).split("\n")[found.line - 1] ?? "") ?? [];
  const isAsync = found.message.includes("Promise<")
    ? "hooks are not async: what waits, waits without a promise. "
    : "";
  const lines = (await readFile(join(folder, source), "utf8")).split("\n");
  const line = lines.findIndex((text) => new RegExp(`\\bexport\\b.*\\b${hook}\\b`).test(text)) + 1;
  return { ...found, message: `${hook}: ${isAsync}${found.message}`, file: source, line: Math.max(1, line), column: 1 };
}
