/**
 * An object file → its collection spec, whole or not at all: any bytes give either a complete spec or a
 * PENSTOCK_BPF_OBJECT error that names section and offset. No privileges, no side effects.
 */
import { bpfError } from "#core/errors/bpf.ts";
import { NO_EXT, parseBtfExt } from "#bpf/btf/ext.ts";
import { fixBtf } from "#bpf/btf/fixup.ts";
import { parseBtf } from "#bpf/btf/parse.ts";
import { readElf, type ElfFile } from "#bpf/elf/elf.ts";
import type { Reader } from "#bpf/elf/reader.ts";
import { Linker, readFunctions } from "./link.ts";
import { readGlobals, readMaps } from "./maps.ts";
import { sectionKind } from "./sections.ts";
import type { CollectionSpec, ProgramSpec } from "./spec.ts";

/** Programs without a section of their own are helpers of others. */
const HELPERS = ".text";

export function readSpec(bytes: Uint8Array): CollectionSpec {
  const elf = readElf(bytes);
  const types = contents(elf, ".BTF");
  const btf = types === null ? null : fixBtf(parseBtf(types), elf);
  const extension = contents(elf, ".BTF.ext");
  const ext = btf === null || extension === null ? NO_EXT : parseBtfExt(extension, btf);
  const maps = readMaps(elf, btf);
  const functions = readFunctions(elf);
  const linker = new Linker(elf, functions, maps, ext);
  const programs = new Map<string, ProgramSpec>();
  for (const each of functions) {
    if (!each.global || each.section.name === HELPERS) continue;
    const kind = sectionKind(each.section.name);
    if (kind === null) {
      throw bpfError("PENSTOCK_BPF_OBJECT", {
        detail: `${each.section.name}, offset ${each.start}: no known kind of program`,
      });
    }
    if (programs.has(each.name)) {
      throw bpfError("PENSTOCK_BPF_OBJECT", {
        detail: `${each.section.name}, offset ${each.start}: a second program ${each.name}`,
      });
    }
    programs.set(each.name, {
      name: each.name,
      section: each.section.name,
      type: kind.type,
      attachType: kind.attachType,
      flags: kind.flags,
      target: kind.targetName,
      ...linker.link(each),
    });
  }
  checkSlots(maps, programs);
  return { license: license(elf), btf, maps, programs, globals: readGlobals(btf, maps) };
}

function contents(elf: ElfFile, name: string): Reader | null {
  const section = elf.sections.find((each) => each.name === name);
  return section === undefined || section.contents.length === 0 ? null : section.contents;
}

function license(elf: ElfFile): string {
  const section = contents(elf, "license");
  return section === null ? "" : section.string(0);
}

function checkSlots(maps: CollectionSpec["maps"], programs: CollectionSpec["programs"]): void {
  for (const map of maps.values()) {
    for (const { index, name } of map.slots) {
      if (Number.isInteger(index) && (maps.has(name) || programs.has(name))) continue;
      throw bpfError("PENSTOCK_BPF_OBJECT", {
        detail: `.maps, ${map.name}: slot ${index} refers to ${JSON.stringify(name)}`,
      });
    }
  }
}
