/**
 * A plugin's author exports `onRequest(req)`; the host calls `on_request()`. Between them stands an entry file that the
 * builder generates: for each hook that the plugin exports, an export that calls it and gives the heap back.
 */
import assemblyscript from "assemblyscript";
import { ABI_VERSION } from "#sdk/types/abi.ts";

/** Path of the plugin's source, relative to its folder. */
export const PLUGIN_SOURCE = "assembly/index.ts";

interface HookEntry {
  /** The export: name, parameters, and whether it answers an action. */
  readonly exported: string;
  readonly params: string;
  readonly answers: boolean;
  /** Statements before the call, and its arguments. */
  readonly before: string;
  readonly args: string;
  /** What the entry file must make. */
  readonly needs: readonly string[];
}

const hook = (
  exported: string,
  args: string,
  needs: readonly string[],
  { params = "", answers = true, before = "" } = {},
): HookEntry => ({ exported, params, answers, before, args, needs });

const LAST = { params: "last: i32", before: "  body.isLast = last == 1;\n" };
const VOID = { answers: false };

const HOOKS: Readonly<Record<string, HookEntry>> = {
  onRequest: hook("on_request", "request", ["request"]),
  onRequestBody: hook("on_request_body", "request, body", ["request", "body"], LAST),
  onRequestEnd: hook("on_request_end", "request, requestTrailers", ["request", "requestTrailers"], VOID),
  onResponse: hook("on_response", "request, response", ["request", "response"]),
  onResponseBody: hook("on_response_body", "request, body", ["request", "body"], LAST),
  onResponseEnd: hook("on_response_end", "request, responseTrailers", ["request", "responseTrailers"], VOID),
  onEnd: hook("on_end", "request", ["request"], VOID),
  onConnection: hook("on_connection", "stream", ["stream"]),
  onData: hook("on_data", "stream, data", ["stream", "data"], {
    params: "direction: i32, last: i32",
    before: "  data.fromClient = direction == 0;\n  data.isLast = last == 1;\n",
  }),
  onTick: hook("on_tick", "", [], VOID),
  onMessage: hook("on_message", "message", ["message"], VOID),
};

/** What hooks are given: an import, and the one object there is of it. */
const OBJECTS: Readonly<Record<string, readonly [imports: string, made: string]>> = {
  request: ['import { Request } from "penstock/assembly/request";', "const request = new Request();"],
  response: ['import { Response } from "penstock/assembly/response";', "const response = new Response();"],
  body: ['import { Body } from "penstock/assembly/body";', "const body = new Body();"],
  requestTrailers: [
    'import { Trailers } from "penstock/assembly/trailers";',
    "const requestTrailers = new Trailers(2);",
  ],
  responseTrailers: [
    'import { Trailers } from "penstock/assembly/trailers";',
    "const responseTrailers = new Trailers(3);",
  ],
  stream: ['import { Stream } from "penstock/assembly/stream";', "const stream = new Stream();"],
  data: ['import { Data } from "penstock/assembly/stream";', "const data = new Data();"],
  message: ['import { Message } from "penstock/assembly/events";', "const message = new Message();"],
};

/** The hooks by their authors' names. */
export const HOOK_NAMES: readonly string[] = ["onConfigure", ...Object.keys(HOOKS)];

/** `onRequest(request: Request): Action`, in the order in which they run. */
export function hookSignatures(): string[] {
  const typed = (name: string): string => `${name}: ${(/new (\w+)/.exec(OBJECTS[name]?.[1] ?? "") ?? [])[1] ?? ""}`;
  const rows = Object.entries(HOOKS).map(([name, { needs, answers }]) => {
    return `${name}(${needs.map(typed).join(", ")}): ${answers ? "Action" : "void"}`;
  });
  return ["onConfigure(): bool", ...rows];
}

function bodyOf(name: string, { exported, params, answers, before, args }: HookEntry): string {
  const result = answers ? "i32" : "void";
  const call = answers ? `const action = plugin.${name}(${args});` : `plugin.${name}(${args});`;
  const end = answers ? "\n  return action;" : "";
  return `export function ${exported}(${params}): ${result} {\n${before}  ${call}\n  resetHeap();${end}\n}`;
}

/** Hooks that a source exports, by their author's names. */
export function exportedHooks(source: string): string[] {
  const program = assemblyscript.newProgram(assemblyscript.newOptions());
  assemblyscript.parse(program, source, PLUGIN_SOURCE, true);
  const names: string[] = [];
  for (const { statements } of program.sources) {
    for (const statement of statements) {
      if (statement instanceof assemblyscript.FunctionDeclaration) {
        if ((statement.flags & assemblyscript.CommonFlags.Export) !== 0) names.push(statement.name.text);
      } else if (statement instanceof assemblyscript.ExportStatement) {
        for (const member of statement.members ?? []) names.push(member.exportedName.text);
      }
    }
  }
  return names.filter((name) => HOOK_NAMES.includes(name));
}

/** The entry file for these hooks. */
export function entrySource(hooks: readonly string[]): string {
  const configure = hooks.includes("onConfigure") ? "plugin.onConfigure()" : "true";
  const entries = Object.entries(HOOKS).filter(([name]) => hooks.includes(name));
  const objects = [...new Set(entries.flatMap(([, entry]) => entry.needs))].map((name) => OBJECTS[name] ?? ["", ""]);
  return `import * as plugin from "./assembly/index";
${[...new Set(objects.map(([imports]) => imports))].join("\n")}
import { resetHeap, setMark } from "penstock/assembly/heap";
import "penstock/assembly/log"; // the builder's \`abort\`

${objects.map(([, made]) => made).join("\n")}

export function penstock_abi_${ABI_VERSION}(): void {}

export function on_configure(): i32 {
  const accepted: bool = ${configure};
  setMark();
  return accepted ? 0 : 1;
}

${entries.map(([name, entry]) => bodyOf(name, entry)).join("\n\n")}
`;
}
