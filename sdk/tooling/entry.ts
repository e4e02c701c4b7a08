/**
 * A plugin's author exports `onRequest(req)`; the host calls `on_request()`. Between them stands an entry file that the
 * builder generates: for each hook that the plugin exports, an export that calls it and gives the heap back.
 */
import assemblyscript from "assemblyscript";

/** Path of the plugin's source, relative to its folder. */
export const PLUGIN_SOURCE = "assembly/index.ts";

const HOOK_BODIES: Readonly<Record<string, string>> = {
  onRequest: `export function on_request(): i32 {
  const action = plugin.onRequest(request);
  resetHeap();
  return action;
}`,
  onResponse: `export function on_response(): i32 {
  const action = plugin.onResponse(request, response);
  resetHeap();
  return action;
}`,
  onEnd: `export function on_end(): void {
  plugin.onEnd(request);
  resetHeap();
}`,
};

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
  return names.filter((name) => name === "onConfigure" || name in HOOK_BODIES);
}

/** The entry file for these hooks. */
export function entrySource(hooks: readonly string[]): string {
  const configure = hooks.includes("onConfigure") ? "plugin.onConfigure()" : "true";
  const bodies = hooks.flatMap((hook) => HOOK_BODIES[hook] ?? []);
  return `import * as plugin from "./assembly/index";
import { Request } from "penstock/assembly/request";
import { Response } from "penstock/assembly/response";
import { resetHeap, setMark } from "penstock/assembly/heap";
import "penstock/assembly/log"; // the builder's \`abort\`

const request = new Request();
const response = new Response();

export function penstock_abi_1(): void {}

export function on_configure(): i32 {
  const accepted: bool = ${configure};
  setMark();
  return accepted ? 0 : 1;
}

${bodies.join("\n\n")}
`;
}
