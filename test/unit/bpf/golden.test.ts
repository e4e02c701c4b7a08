/**
 * What `readSpec` makes of every committed object, held against a file that a person has looked at (golden/NAME.txt). After
 * a change of the programs that is meant: `npx vitest run test/unit/bpf/golden.test.ts -u` (in this order), and read the difference.
 */
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import type { CollectionSpec, MapDefinition, ProgramSpec } from "#bpf/spec/spec.ts";
import { readSpec } from "#bpf/spec/read.ts";

const ROOT = path.join(import.meta.dirname, "../../..");
const FOLDERS = ["bpf/obj", "test/support/bpf/obj"];

const OBJECTS = FOLDERS.flatMap((folder) =>
  fs
    .readdirSync(path.join(ROOT, folder))
    .filter((name) => name.endsWith(".o"))
    .map((name) => [path.basename(name, ".o"), path.join(ROOT, folder, name)] as const),
);

function mapLine(map: MapDefinition, indent = ""): string {
  const { name, type, keyBytes, valueBytes, maxEntries, flags, extra, pinning, inner, slots, contents, frozen } = map;
  const sizes = `type ${type}, ${keyBytes} -> ${valueBytes} bytes, ${maxEntries} entries, flags ${flags}`;
  const more = [
    extra === 0n ? "" : `extra ${extra}`,
    pinning === 0 ? "" : `pinning ${pinning}`,
    slots.length === 0 ? "" : `slots ${slots.map((slot) => `${slot.index}=${slot.name}`).join(" ")}`,
    contents === null ? "" : `contents ${digest(contents)}`,
    frozen ? "frozen" : "",
  ].filter((each) => each !== "");
  const line = `${indent}map ${name}: ${[sizes, ...more].join(", ")}`;
  return inner === null ? line : `${line}\n${mapLine(inner, "  of ")}`;
}

function programLines({ name, section, type, attachType, flags, target, ...rest }: ProgramSpec): string {
  const { instructions, references, functions, lines, relocations } = rest;
  const kind = `type ${type}, attach ${attachType}, flags ${flags}${target === null ? "" : `, target ${target}`}`;
  const size = `${instructions.length / 8} instructions ${digest(instructions)}`;
  const records = `functions ${functions.count}, lines ${lines.count}, relocations ${relocations.count}`;
  const named = references.map(
    (each) => `${each.kind} ${each.name}${each.kind === "map-value" ? `+${each.offset}` : ""}`,
  );
  const counts = new Map<string, number>();
  for (const each of named) counts.set(each, (counts.get(each) ?? 0) + 1);
  const uses = Array.from(counts, ([each, count]) => `  uses ${each}${count === 1 ? "" : ` (${count} times)`}`);
  return [`program ${name} (${section}): ${kind}`, `  ${size}, ${records}`, ...uses.toSorted()].join("\n");
}

function text({ license, btf, maps, programs, globals }: CollectionSpec): string {
  const typed = Array.from(
    globals.values(),
    ({ name, map, offset, size }) => `global ${name}: ${map}+${offset}, ${size} bytes`,
  );
  return [
    `license ${license}${btf === null ? ", no types" : ""}`,
    ...Array.from(maps.values(), (map) => mapLine(map)),
    ...typed,
    ...Array.from(programs.values(), programLines),
    "",
  ].join("\n");
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 16);
}

it.each(OBJECTS)("%s reads as it did", async (name, file) => {
  await expect(text(readSpec(fs.readFileSync(file)))).toMatchFileSnapshot(`./golden/${name}.txt`);
});
