/**
 * Makes `sdk/types/world.d.ts` out of `sdk/wit/plugin.wit`: the interfaces of the world as modules, as components in JavaScript see
 * them. A test fails when the file is not what this makes. It knows the part of WIT that our file uses.
 *
 *     node sdk/tooling/world-types.ts
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const SDK = join(import.meta.dirname, "..");
const FILE = join(SDK, "types/world.d.ts");

const HEAD = `/** Made from wit/plugin.wit by \`node sdk/tooling/world-types.ts\`; do not edit. */\n`;

const PLAIN: Readonly<Record<string, string>> = {
  bool: "boolean",
  string: "string",
  u16: "number",
  u32: "number",
  s32: "number",
  s64: "number",
  f64: "number",
};

export async function makeWorldTypes(): Promise<string> {
  const wit = (await readFile(join(SDK, "wit/plugin.wit"), "utf8")).replaceAll(/\/\/.*/g, "");
  const [, packageName = "", version = ""] = /^package (\S+)@(\S+);/m.exec(wit) ?? [];
  const modules: string[] = [];
  for (const [, name = "", body = ""] of wit.matchAll(/^interface ([\w-]+) \{\n([\s\S]*?)^\}/gm)) {
    modules.push(`declare module "${packageName}/${name}@${version}" {\n${declarations(body).join("\n")}\n}\n`);
  }
  return `${HEAD}\n${modules.join("\n")}`;
}

function declarations(body: string): string[] {
  const lines: string[] = [];
  const reserved: string[] = [];
  for (const [, name = "", list = ""] of body.matchAll(/enum ([\w-]+) \{([^}]*)\}/g)) {
    const cases = entries(list).map((one) => JSON.stringify(one));
    lines.push(`  export type ${pascal(name)} = ${cases.join(" | ")};`);
  }
  for (const [, name = "", list = ""] of body.matchAll(/record ([\w-]+) \{([^}]*)\}/g)) {
    const fields = entries(list).map((field) =>
      field.replace(/^([\w-]+): (.*)$/, (_, key, type) => `readonly ${camel(key)}: ${typeOf(type)}`),
    );
    lines.push(`  export interface ${pascal(name)} {`, ...fields.map((field) => `    ${field};`), "  }");
  }
  for (const [, name = "", params = "", result = ""] of body.matchAll(/^ +%?([\w-]+): func\((.*)\)(?: -> (.+))?;$/gm)) {
    const typed = entries(params).map((param) =>
      param.replace(/^([\w-]+): (.*)$/, (_, key, type) => `${camel(key)}: ${typeOf(type)}`),
    );
    const isReserved = name === "delete";
    if (isReserved) reserved.push(name);
    const declared = isReserved ? `function ${name}_` : `export function ${camel(name)}`;
    lines.push(`  ${declared}(${typed.join(", ")}): ${result === "" ? "void" : typeOf(result)};`);
  }
  for (const name of reserved) lines.push(`  export { ${name}_ as ${name} };`);
  return lines;
}

/** Parted by commas, but not within brackets. */
function entries(list: string): string[] {
  return list
    .split(/,(?![^<]*>)/)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}

function typeOf(wit: string): string {
  const plain = PLAIN[wit];
  if (plain !== undefined) return plain;
  if (wit === "list<u8>") return "Uint8Array";
  const inner = /^option<(.+)>$/.exec(wit)?.[1];
  return inner === undefined ? pascal(wit) : `${typeOf(inner)} | null`;
}

function camel(name: string): string {
  return name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function pascal(name: string): string {
  const text = camel(name);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await writeFile(FILE, await makeWorldTypes());
