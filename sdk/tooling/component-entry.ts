/**
 * The entry file of a plugin in TypeScript: for each hook that the plugin exports, an export of the world's name that gives it the
 * objects it takes. Without an answer a hook lets things go on; `onConfigure` accepts.
 */

interface HookEntry {
  /** Parameters of the world's function, and arguments of the plugin's. */
  readonly params: string;
  readonly args: readonly string[];
  readonly answers: boolean;
}

const hook = (args: readonly string[], answers: boolean, params = ""): HookEntry => ({ params, args, answers });

const HOOKS: Readonly<Record<string, HookEntry>> = {
  onRequest: hook(["request"], true),
  onRequestBody: hook(["request", "new Body(last)"], true, "last"),
  onRequestEnd: hook(["request", "requestTrailers"], false),
  onResponse: hook(["request", "response"], true),
  onResponseBody: hook(["request", "new Body(last)"], true, "last"),
  onResponseEnd: hook(["request", "responseTrailers"], false),
  onEnd: hook(["request"], false),
  onConnection: hook(["stream"], true),
  onData: hook(["stream", "new Data(fromUpstream, last)"], true, "fromUpstream, last"),
  onTick: hook([], false),
  onMessage: hook(["message"], false),
};

/** What arguments are made of: a file of the SDK, what it exports, and the one object there is of it. */
const OBJECTS: Readonly<Record<string, readonly [file: string, exported: string, made: string]>> = {
  request: ["request.ts", "Request", "const request = new Request();"],
  response: ["response.ts", "Response", "const response = new Response();"],
  requestTrailers: ["headers.ts", "Trailers", 'const requestTrailers = new Trailers("request-trailers");'],
  responseTrailers: ["headers.ts", "Trailers", 'const responseTrailers = new Trailers("response-trailers");'],
  stream: ["stream.ts", "Stream", "const stream = new Stream();"],
  message: ["events.ts", "Message", "const message = new Message();"],
  "new Body(last)": ["body.ts", "Body", ""],
  "new Data(fromUpstream, last)": ["stream.ts", "Data", ""],
};

/** The hooks by their authors' names. */
export const PLUGIN_HOOKS: readonly string[] = ["onConfigure", ...Object.keys(HOOKS)];

/** Those among a module's exports. */
export function componentHooks(exported: readonly string[]): string[] {
  return PLUGIN_HOOKS.filter((name) => exported.includes(name));
}

function objectsOf(hooks: readonly string[]): (readonly [string, string, string])[] {
  const names = new Set(hooks.flatMap((name) => HOOKS[name]?.args ?? []));
  return [...names].map((name) => OBJECTS[name] ?? ["", "", ""]);
}

/** Files of the SDK that the entry imports. */
export function entryFiles(hooks: readonly string[]): string[] {
  return [...new Set(["log.ts", "chance.ts", ...objectsOf(hooks).map(([file]) => file)])];
}

/** A module that has types only if each hook can be called as the entry does: one a line, behind what they need. */
export function hookTypes(source: string, hooks: readonly string[]): string {
  const types = new Set(Object.values(OBJECTS).map(([, exported]) => exported));
  const lines = hooks.map((name) => {
    const { args, answers } = HOOKS[name] ?? hook([], false);
    const params = args.map((arg, index) => `${"abc"[index]}: ${OBJECTS[arg]?.[1]}`).join(", ");
    const result = name === "onConfigure" ? "boolean | void" : answers ? "Action | void" : "undefined | void";
    return `export const ${name}: (${params}) => ${result} = plugin.${name};`;
  });
  return [
    `import type { Action, ${[...types].join(", ")} } from "penstock/plugin";`,
    `import * as plugin from ${JSON.stringify(source)};`,
    ...lines,
  ].join("\n");
}

/** `source`: of the plugin, from where the entry is. */
export function componentEntry(source: string, hooks: readonly string[]): string {
  const objects = objectsOf(hooks);
  const imports = new Set(objects.map(([file, exported]) => `import { ${exported} } from "penstock/${file}";`));
  const made = objects.map(([, , statement]) => statement).filter((statement) => statement !== "");
  // The engine has none of its own.
  const print = (level: string): string => `${level}: (...values) => log.${level}(values.map(String).join(" "))`;
  const levels = ["debug", "info", "warn", "error"].map(print);
  const configure = hooks.includes("onConfigure") ? "plugin.onConfigure() !== false" : "true";
  const functions = hooks
    .filter((name) => name !== "onConfigure")
    .map((name) => {
      const { params, args, answers } = HOOKS[name] ?? hook([], false);
      const call = `plugin.${name}(${args.join(", ")})`;
      return exported(name, params, answers ? `return ${call} ?? "continue";` : `${call};`);
    });
  return [
    'import { log } from "penstock/log.ts";',
    'import { seedChance } from "penstock/chance.ts";',
    ...imports,
    `globalThis.console = { ${levels.join(", ")}, log: (...values) => log.info(values.map(String).join(" ")) };`,
    `import * as plugin from "${source}";`,
    ...made,
    exported("onConfigure", "", `seedChance();\n    return ${configure};`),
    ...functions,
    "",
  ].join("\n");
}

/** What is thrown ends the guest; before that it is told, in fewer units of fuel than the engine takes to say so. */
function exported(name: string, params: string, statement: string): string {
  const told = 'log.error(`${error}\\n${error?.stack ?? ""}`);';
  return `export function ${name}(${params}) {\n  try {\n    ${statement}\n  } catch (error) {\n    ${told}\n    throw error;\n  }\n}`;
}
