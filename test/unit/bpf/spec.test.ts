import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { PenstockError } from "#core/errors.ts";
import { readElf } from "#bpf/elf/elf.ts";
import { readSpec } from "#bpf/spec/read.ts";
import { sectionKind } from "#bpf/spec/sections.ts";

const ROOT = path.join(import.meta.dirname, "../../..");
const object = (name: string): Buffer => fs.readFileSync(path.join(ROOT, name));
const LOADER = object("test/support/bpf/obj/loader.o");

describe("spec of an object with everything", () => {
  const spec = readSpec(LOADER);

  it("links every function a program reaches, once, behind it", () => {
    const { functions, instructions } = spec.programs.get("calls_functions") ?? fail();
    expect(functions.count).toBe(3);
    const offsets = [0, 1, 2].map((i) => functions.bytes.readUInt32LE(i * functions.recordBytes));
    expect(offsets[0]).toBe(0);
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
    expect(Math.max(...offsets) * 8).toBeLessThan(instructions.length);
  });

  it("lists references for whoever has the descriptors", () => {
    const references = (program: string) =>
      (spec.programs.get(program) ?? fail()).references.map(({ kind, name }) => `${kind} ${name}`);
    expect(new Set(references("looks_into_maps"))).toEqual(new Set(["map outer", "map bloom", "map events"]));
    expect(references("calls_kernel")).toEqual([
      "kernel-function bpf_rcu_read_lock",
      "kernel-function bpf_rcu_read_unlock",
    ]);
    expect(references("counts_globals")).toContain("map-value .bss");
  });

  it("keeps relocations by kernel types, counted in bytes of the linked program", () => {
    const { relocations } = spec.programs.get("reads_kernel") ?? fail();
    expect([relocations.count, relocations.recordBytes]).toEqual([1, 16]);
  });

  it("knows the slots that the object fills, and inner maps", () => {
    expect(spec.maps.get("outer")).toMatchObject({
      slots: [
        { index: 0, name: "inner_a" },
        { index: 2, name: "inner_b" },
      ],
      inner: { type: 1, keyBytes: 4, maxEntries: 4 },
    });
    expect(spec.maps.get("calls")).toMatchObject({ type: 3, slots: [{ index: 3, name: "tail" }], inner: null });
    expect(spec.maps.get("bloom")).toMatchObject({ type: 30, extra: 3n });
  });
});

describe("bad objects", () => {
  /** Offset of a section's contents, by name. */
  function at(name: string): number {
    const section = readElf(LOADER).sections.find((each) => each.name === name) ?? fail();
    return section.contents.bytes.byteOffset - LOADER.byteOffset;
  }

  function patched(patch: (bytes: Buffer) => void): Buffer {
    const bytes = Buffer.from(LOADER);
    patch(bytes);
    return bytes;
  }

  it.each<[string, Buffer, RegExp]>([
    ["nothing", Buffer.alloc(0), /ELF header, offset 0: 0 bytes/],
    ["text", Buffer.alloc(64, "x"), /ELF header, offset 0: no ELF file/],
    ["big-endian", patched((b) => b.writeUInt8(2, 5)), /offset 4: not 64-bit little-endian/],
    ["an x86 object", patched((b) => b.writeUInt16LE(62, 18)), /machine 62 is not BPF/],
    ["half of one", LOADER.subarray(0, LOADER.length / 2), /ELF header, offset \d+: section table/],
    ["section table elsewhere", patched((b) => b.writeBigUInt64LE(2n ** 60n, 40)), /out of range/],
    ["no type information", patched((b) => b.writeUInt16LE(0, at(".BTF"))), /\.BTF, offset 0: no BTF/],
    [
      "types beyond the section",
      patched((b) => b.writeUInt32LE(1 << 30, at(".BTF") + 12)),
      /\.BTF, offset \d+: types of/,
    ],
    ["records beyond the section", patched((b) => b.writeUInt32LE(1 << 30, at(".BTF.ext") + 12)), /\.BTF\.ext, offset/],
    [
      "a license without an end",
      patched((b) => b.fill("x", at("license"), at("license") + 13)),
      /license, offset 0: text without an end/,
    ],
  ])("%s", (_what, bytes, message) => {
    expect(() => readSpec(bytes)).toThrow(message);
    expect(() => readSpec(bytes)).toThrow(PenstockError);
  });
});

it.each([
  ["xdp", { type: 6, attachType: 37, flags: 0 }],
  ["xdp.frags", { type: 6, attachType: 37, flags: 32 }],
  ["xdp.frags/devmap", { type: 6, attachType: 33, flags: 32 }],
  ["?cgroup/connect4", { type: 18, attachType: 10, flags: 0 }],
  ["lsm.s/file_open", { type: 29, attachType: 27, flags: 16, targetName: "file_open" }],
  ["tp_btf/sched_switch", { type: 26, attachType: 23, targetName: "sched_switch" }],
  ["tracepoint/sock/inet_sock_set_state", { type: 5, targetName: "sock/inet_sock_set_state" }],
  ["syscall", { type: 31, flags: 16 }],
  ["xdpx", null],
  ["", null],
])("section %s", (name, expected) => {
  if (expected === null) expect(sectionKind(name)).toBeNull();
  else expect(sectionKind(name)).toMatchObject(expected);
});

function fail(): never {
  throw new Error("not there");
}
