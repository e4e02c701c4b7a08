/** Programs of two instructions, for what is tested around a program and not in it: `return N`, as any section's kind. */
import { sectionKind } from "#bpf/spec/sections.ts";
import type { InfoRecords, ProgramSpec } from "#bpf/spec/spec.ts";
import { targetId } from "#bpf/kernel/kernel-types.ts";
import { Program } from "#bpf/kernel/program.ts";

const NONE: InfoRecords = { recordBytes: 0, count: 0, bytes: Buffer.alloc(0) };

export function tinySpec(section: string, returns: number): ProgramSpec {
  const kind = sectionKind(section);
  if (kind === null) throw new Error(`no kind of program: ${section}`);
  const instructions = Buffer.from([0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);
  instructions.writeInt32LE(returns, 4);
  const { type, attachType, flags, targetName: target } = kind;
  const parts = { instructions, references: [], functions: NONE, lines: NONE, relocations: NONE };
  return { name: "tiny", section, type, attachType, flags, target, ...parts };
}

export function loadTiny(section: string, returns = 0): Program {
  const spec = tinySpec(section, returns);
  const target = targetId(spec);
  const loading = { license: "GPL", btf: null, ...(target === null ? {} : { targetId: target }) };
  return Program.load(spec, spec.instructions, loading);
}
