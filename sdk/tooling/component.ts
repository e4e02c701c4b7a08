/**
 * Builds a plugin in TypeScript: a component of the world `penstock:plugin`, with a JavaScript engine in it (QuickJS, by
 * componentize-qjs). Types are checked where there is a compiler for that (type-check.ts) and erased, as Node does it; an entry
 * file gives hooks what they take; and the component's world names no more of the gateway than what the plugin's imports lead
 * to, so that what it asks for is what it uses.
 */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { init, parse } from "es-module-lexer";
import { missedHooks } from "./advice.ts";
import type { BuildResult, Diagnostic } from "./diagnostic.ts";
import { componentEntry, componentHooks, entryFiles, PLUGIN_HOOKS } from "./component-entry.ts";
import { checkTypes } from "./type-check.ts";

/** Path of the plugin's source, relative to its folder. */
export const COMPONENT_SOURCE = "src/index.ts";

const SDK = join(import.meta.dirname, "../typescript");
const WIT = join(import.meta.dirname, "../wit");
const PACKAGE = "penstock/plugin";
const WORLD_MODULE = /^penstock:plugin\/([a-z-]+)@/;

/** What is wrong with the plugin, at a place of it. */
class SourceError extends Error {
  readonly diagnostic: Diagnostic;

  constructor(file: string, message: string, line = 0) {
    super(message);
    this.diagnostic = { severity: "error", code: 0, message, file, line, column: line === 0 ? 0 : 1 };
  }
}

/** Never throws for what is wrong with the plugin: that is in the diagnostics. */
export async function buildComponent(folder: string): Promise<BuildResult> {
  const work = await mkdtemp(join(tmpdir(), "penstock-component-"));
  try {
    const { componentize } = await compiler();
    await init;
    const { jsPath, hooks } = await layOut(folder, work);
    const told = await checkTypes({ folder, source: COMPONENT_SOURCE, hooks, work: join(work, "types") });
    if (told.some(({ severity }) => severity === "error")) {
      return { wasm: new Uint8Array(), sourceMap: "", diagnostics: told };
    }
    const { component } = await componentize({
      witPath: join(work, "wit"),
      world: "built",
      jsSource: await readFile(jsPath, "utf8"),
      jsPath,
      moduleRoot: work,
      sync: true,
      optSize: true,
    });
    return { wasm: new Uint8Array(component), sourceMap: "", diagnostics: told };
  } catch (error) {
    const diagnostic =
      error instanceof SourceError
        ? error.diagnostic
        : new SourceError("", error instanceof Error ? error.message : String(error)).diagnostic;
    return { wasm: new Uint8Array(), sourceMap: "", diagnostics: [diagnostic] };
  } finally {
    await rm(work, { recursive: true });
  }
}

/** An optional package: it is there for x64 and arm64, and as large as all others together. */
async function compiler(): Promise<typeof import("componentize-qjs")> {
  try {
    return await import("componentize-qjs");
  } catch (error) {
    throw new Error(
      "plugins in TypeScript are built by componentize-qjs, which is not here: `npm install componentize-qjs`",
      {
        cause: error,
      },
    );
  }
}

/** Writes what the compiler reads: sources without types, the SDK, the world. Answers the entry's path, and the plugin's hooks. */
async function layOut(folder: string, work: string): Promise<{ jsPath: string; hooks: string[] }> {
  const sources = await readSources(join(folder, "src"), "src");
  const main = sources.get(COMPONENT_SOURCE);
  if (main === undefined) throw new SourceError(COMPONENT_SOURCE, "there is no such file");
  const hooks = componentHooks(parsed(main, COMPONENT_SOURCE)[1].flatMap((one) => ("name" in one ? [one.name] : [])));
  if (hooks.every((hook) => hook === "onConfigure")) {
    const [missed] = missedHooks(main, COMPONENT_SOURCE, PLUGIN_HOOKS, hooks);
    if (missed !== undefined) throw new SourceError(COMPONENT_SOURCE, missed.message, missed.line);
    throw new SourceError(COMPONENT_SOURCE, `no hook is exported: none of ${PLUGIN_HOOKS.slice(1).join(", ")}`, 1);
  }
  const sdk = await readSources(SDK, "");
  const uses = new Uses(sdk);
  for (const [file, text] of sources) uses.ofSource(file, text);
  for (const name of entryFiles(hooks)) uses.ofSdk(name);
  const packageFolder = join(work, "node_modules/penstock");
  await mkdir(packageFolder, { recursive: true });
  await mkdir(join(work, "wit/deps"), { recursive: true });
  const written: [string, string][] = [
    ...[...sources].map(([file, text]): [string, string] => [join(work, file), text]),
    ...[...uses.files].map((file): [string, string] => [join(packageFolder, file), sdk.get(file) ?? ""]),
    [join(packageFolder, "package.json"), PACKAGE_JSON],
    [join(packageFolder, PACKAGE_INDEX), uses.index()],
    [join(work, "entry.js"), componentEntry(`./${COMPONENT_SOURCE}`, hooks)],
    [join(work, "wit/built.wit"), world(uses.interfaces, hooks)],
  ];
  for (const [path, text] of written) {
    await mkdir(join(path, ".."), { recursive: true });
    await writeFile(path, text);
  }
  await cp(WIT, join(work, "wit/deps/penstock"), { recursive: true });
  return { jsPath: join(work, "entry.js"), hooks };
}

const PACKAGE_INDEX = "plugin.ts";
const PACKAGE_JSON = JSON.stringify({
  name: "penstock",
  type: "module",
  exports: { "./plugin": `./${PACKAGE_INDEX}`, "./*": "./*" },
});

/** Sources by path, as JavaScript. */
async function readSources(folder: string, prefix: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const name = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
    if (entry.isDirectory()) {
      for (const [file, text] of await readSources(join(folder, entry.name), name)) found.set(file, text);
    } else if (/\.[cm]?[jt]s$/.test(entry.name) && !entry.name.endsWith(".d.ts")) {
      const text = await readFile(join(folder, entry.name), "utf8");
      found.set(name, entry.name.endsWith("ts") ? withoutTypes(text, name) : text);
    }
  }
  return found;
}

function withoutTypes(text: string, file: string): string {
  try {
    return stripTypeScriptTypes(text, { sourceUrl: file });
  } catch (error) {
    // `file:line`, and the line itself with a mark under it.
    const stack = error instanceof Error ? (error.stack ?? "") : "";
    const line = Number(/^.*:(\d+)$/m.exec(stack)?.[1] ?? 1);
    throw new SourceError(file, error instanceof Error ? error.message : String(error), line);
  }
}

function parsed(text: string, file: string): ReturnType<typeof parse> {
  try {
    return parse(text, file);
  } catch (error) {
    throw new SourceError(file, error instanceof Error ? error.message : String(error), 1);
  }
}

/** What of the SDK, and by it of the world, a plugin's imports lead to. */
class Uses {
  readonly files = new Set<string>();
  readonly interfaces = new Set<string>();
  readonly #sdk: ReadonlyMap<string, string>;
  readonly #exports: readonly { readonly line: string; readonly names: readonly string[]; readonly file: string }[];

  constructor(sdk: ReadonlyMap<string, string>) {
    this.#sdk = sdk;
    const index = sdk.get("index.ts") ?? "";
    this.#exports = [...index.matchAll(/^export \{ (.+?) ?\} from "\.\/([\w-]+\.ts)";$/gm)].map(
      ([line, names = "", file = ""]) => ({ line, names: names.split(/[\s,]+/), file }),
    );
  }

  ofSource(file: string, text: string): void {
    for (const { specifier, importStart: start, importEnd: end } of parsed(text, file)[0]) {
      if (specifier === PACKAGE) this.#ofPackage(text.slice(start, end));
      else if (typeof specifier === "string" && !this.#ofWorld(specifier) && !specifier.startsWith(".")) {
        const line = text.slice(0, start).split("\n").length;
        const message = `import of "${specifier}": plugins import ${PACKAGE}, the world's interfaces and their own files; bundle what else they need`;
        throw new SourceError(file, message, line);
      }
    }
  }

  ofSdk(file: string): void {
    if (this.files.has(file)) return;
    this.files.add(file);
    for (const { specifier } of parsed(this.#sdk.get(file) ?? "", file)[0]) {
      if (typeof specifier === "string" && !this.#ofWorld(specifier)) this.ofSdk(specifier.slice("./".length));
    }
  }

  /** The part of the package that is used. */
  index(): string {
    return this.#exports
      .filter(({ file }) => this.files.has(file))
      .map(({ line }) => line)
      .join("\n");
  }

  #ofPackage(statement: string): void {
    const named = /\{([^}]*)\}/.exec(statement)?.[1];
    const names = named?.split(",").map((name) => name.trim().split(/\s/)[0]);
    for (const { names: known, file } of this.#exports) {
      if (names === undefined || known.some((name) => names.includes(name))) this.ofSdk(file);
    }
  }

  #ofWorld(specifier: string): boolean {
    const name = WORLD_MODULE.exec(specifier)?.[1];
    if (name !== undefined) this.interfaces.add(name);
    return name !== undefined;
  }
}

const VERSION = "1.0.0";

function world(interfaces: ReadonlySet<string>, hooks: readonly string[]): string {
  const kebab = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const imports = [...interfaces].toSorted().map((name) => `  import penstock:plugin/${name}@${VERSION};`);
  const exports = ["onConfigure", ...hooks.filter((hook) => hook !== "onConfigure")].map(
    (hook) => `  export ${kebab(hook)}: ${HOOK_TYPES[hook] ?? "func()"};`,
  );
  return `package local:built;\nworld built {\n  use penstock:plugin/types@${VERSION}.{action};\n${[...imports, ...exports].join("\n")}\n}\n`;
}

const HOOK_TYPES: Readonly<Record<string, string>> = {
  onConfigure: "func() -> bool",
  onRequest: "func() -> action",
  onRequestBody: "func(last: bool) -> action",
  onResponse: "func() -> action",
  onResponseBody: "func(last: bool) -> action",
  onConnection: "func() -> action",
  onData: "func(from-upstream: bool, last: bool) -> action",
};
