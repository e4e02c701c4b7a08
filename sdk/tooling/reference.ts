/**
 * Makes `sdk/REFERENCE.md` out of the sources: every export of `penstock/assembly` with the words above it, and every row of the
 * core interface. A test fails when the file is not what this makes.
 *
 *     node sdk/tooling/reference.ts
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ABI_FUNCTIONS, ABI_HOOKS, ABI_VERSION, type AbiFunction } from "#sdk/types/abi.ts";
import { hookSignatures } from "./entry.ts";

const SDK = join(import.meta.dirname, "..");
const FILE = join(SDK, "REFERENCE.md");

interface Documented {
  readonly doc: string;
  readonly signature: string;
}

interface Declared extends Documented {
  readonly name: string;
  /** As it stands in the source, value and all. */
  readonly value: string;
  readonly members: readonly Documented[];
}

/** The whole text of the reference. */
export async function makeReference(): Promise<string> {
  const abi = await readFile(join(SDK, "types/abi.ts"), "utf8");
  const parts = [
    HEAD,
    hooksPart(),
    "## Exports\n",
    ...(await exportsOf("assembly")),
    "## Exports in TypeScript\n",
    "Of `penstock/plugin`. The hooks are the same.\n",
    ...(await exportsOf("typescript")),
    rowsPart("Core interface: host calls", ABI_FUNCTIONS, abi),
    rowsPart("Core interface: hooks", ABI_HOOKS, abi),
  ];
  return parts.join("\n");
}

/** What the index of one of the packages exports. */
async function exportsOf(folder: string): Promise<string[]> {
  const index = await readFile(join(SDK, folder, "index.ts"), "utf8");
  const parts: string[] = [];
  for (const [, names = "", file = ""] of index.matchAll(/^export \{ (.+) \} from "\.\/(\w+)(?:\.ts)?";$/gm)) {
    const source = await readFile(join(SDK, folder, `${file}.ts`), "utf8");
    const declared = declarations(source);
    for (const exported of names.split(", ")) {
      const name = exported.replace("type ", "");
      const found = declared.find((one) => one.name === name);
      if (found === undefined) throw new Error(`sdk/${folder}/${file}.ts does not declare ${name}`);
      // An object that there is one of: what its class has.
      const kind = /new (\w+)\(/.exec(found.value)?.[1];
      const { members: ofClass = [] } = declared.find((one) => one.name === kind) ?? {};
      parts.push(exportPart({ ...found, members: [...found.members, ...ofClass] }));
    }
  }
  return parts;
}

const HEAD = `# Reference

Made from the sources by \`node sdk/tooling/reference.ts\`; do not edit. How to begin is in TUTORIAL.md, what the forms have in common in
assembly/README.md.
`;

function hooksPart(): string {
  const rows = hookSignatures().map((signature) => `    export function ${signature}`);
  return `## Hooks of a plugin\n\n${rows.join("\n")}\n`;
}

function exportPart({ name, doc, signature, members }: Declared): string {
  const lines = [`### ${name}\n`];
  if (doc !== "") lines.push(`${doc}\n`);
  lines.push(`    ${signature}`);
  if (members.length > 0) lines.push("");
  for (const member of members) lines.push(`- \`${member.signature}\`${member.doc === "" ? "" : `: ${member.doc}`}`);
  lines.push("");
  return lines.join("\n");
}

/** Top-level exports, and what classes and namespaces hold. */
function declarations(source: string): Declared[] {
  const found: Declared[] = [];
  const pattern =
    /(?:^\/\*\*((?:(?!\*\/)[\s\S])*?)\*\/\n)?^(?:export )?((?:class|function|enum|namespace|const|interface|type) (\w+)[^\n{;]*)(.*)$/gm;
  for (const match of source.matchAll(pattern)) {
    const [text, doc = "", signature = "", name = "", rest = ""] = match;
    const opens = rest.trimEnd().endsWith("{") && !signature.startsWith("function");
    const body = opens ? source.slice(match.index + text.length, closing(source, match.index + text.length)) : "";
    found.push({
      name,
      doc: words(doc),
      value: signature,
      signature: shownSignature(signature),
      members: members(body),
    });
  }
  return found;
}

/** Where the declaration that was opened before `from` ends: at a brace in the first column. */
function closing(source: string, from: number): number {
  const end = source.indexOf("\n}", from);
  return end < 0 ? source.length : end;
}

function members(body: string): Documented[] {
  const found: Documented[] = [];
  const pattern =
    /(?:^ {2}\/\*\*((?:(?!\*\/)[\s\S])*?)\*\/\n)?^ {2}(?!private |protected |constructor|readonly #)((?:export function |static |readonly |get )?\w+[^\n;{]*)(?:[;{].*)?$/gm;
  for (const [, doc = "", signature = ""] of body.matchAll(pattern)) {
    const shown = shownSignature(signature.replace("export function ", "").replace(/,$/, ""));
    if (/^(if|for|while|return|let|const|function)\b/.test(shown)) continue;
    found.push({ doc: words(doc), signature: shown });
  }
  return found;
}

/** Each row with the comment above it, or on the way to it. */
function rowsPart(title: string, rows: Readonly<Record<string, AbiFunction>>, source: string): string {
  const lines = [`## ${title}\n`, `Version ${ABI_VERSION}. Types are those of WebAssembly.\n`];
  for (const [name, row] of Object.entries(rows)) {
    const doc = new RegExp(`/\\*\\*((?:(?!\\*/)[\\s\\S])*?)\\*/\\s+${name}: \\{`).exec(source)?.[1] ?? "";
    const result = row.results[0] ?? "nothing";
    const facts = [
      ...(row.since === undefined ? [] : [`since version ${row.since}`]),
      ...(row.capability === undefined ? [] : [`needs \`allow.${row.capability}\``]),
      ...(row.suspends === true ? ["waits"] : []),
    ];
    const more = facts.length === 0 ? "" : ` *${facts.join(", ")}*`;
    lines.push(`- \`${name}(${row.params.join(", ")}) → ${result}\`: ${words(doc)}${more}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Of a function with the defaults of its parameters; of anything else without its value. */
function shownSignature(text: string): string {
  return oneLine(/^\w+ \w+ = /.test(text) || !text.includes("(") ? text.replace(/=.*$/s, "") : text);
}

/** The text of a comment on one line. */
function words(doc: string): string {
  return oneLine(doc.replace(/^\s*\* ?/gm, " "));
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await writeFile(FILE, await makeReference());
