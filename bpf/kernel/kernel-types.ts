/**
 * Ids in the kernel's own types (/sys/kernel/btf/vmlinux), for programs that name a kernel function, variable or
 * tracepoint. The file has some 150 000 types, so it is scanned for the wanted name instead of parsed.
 */
import fs from "node:fs";
import { bpfError } from "#core/errors/bpf.ts";
import { Reader } from "#bpf/elf/reader.ts";
import type { ProgramSpec } from "#bpf/spec/spec.ts";

const KERNEL_TYPES = "/sys/kernel/btf/vmlinux";

const KIND = { function: 12, variable: 14, typedef: 8 } as const;

/** Id of the type of this kind and name; null when this kernel has none, or no types at all. */
export function kernelTypeId(kind: keyof typeof KIND, name: string): number | null {
  if (!fs.existsSync(KERNEL_TYPES)) return null;
  return scan(new Reader(fs.readFileSync(KERNEL_TYPES), KERNEL_TYPES), KIND[kind], name);
}

function scan(types: Reader, kind: number, name: string): number | null {
  const header = types.u32(4);
  const start = header + types.u32(8);
  const end = start + types.u32(12);
  const strings = header + types.u32(16);
  const wanted = Buffer.from(`${name}\0`, "latin1");
  for (let at = start, id = 1; at < end; id++) {
    const info = types.u32(at + 4);
    const found = (info >>> 24) & 31;
    if (found === kind) {
      const text = strings + types.u32(at);
      if (types.bytes.compare(wanted, 0, wanted.length, text, text + wanted.length) === 0) return id;
    }
    at += 12 + tail(found, info & 0xffff);
  }
  return null;
}

/** Bytes after a type's common header, as in `btf/parse.ts`; 8 more kinds would be a new kernel's. */
function tail(kind: number, count: number): number {
  if (kind === 1 || kind === 14 || kind === 17) return 4;
  if (kind === 3) return 12;
  if (kind === 4 || kind === 5 || kind === 15 || kind === 19) return 12 * count;
  return kind === 6 || kind === 13 ? 8 * count : 0;
}

const BPF_PROG_TYPE_TRACING = 26;
const BPF_PROG_TYPE_LSM = 29;
/** How the kernel names the type behind each attach type. */
const PREFIX: Readonly<Record<number, { readonly kind: keyof typeof KIND; readonly prefix: string }>> = {
  23: { kind: "typedef", prefix: "btf_trace_" },
  24: { kind: "function", prefix: "" },
  25: { kind: "function", prefix: "" },
  26: { kind: "function", prefix: "" },
  27: { kind: "function", prefix: "bpf_lsm_" },
  28: { kind: "function", prefix: "bpf_iter_" },
  43: { kind: "function", prefix: "bpf_lsm_" },
};

/** The BTF id a program attaches to, for the kinds that the kernel wants to know it of when loading; else null. */
export function targetId(spec: ProgramSpec): number | null {
  if (spec.type !== BPF_PROG_TYPE_TRACING && spec.type !== BPF_PROG_TYPE_LSM) return null;
  const rule = PREFIX[spec.attachType];
  const id =
    rule === undefined || spec.target === null ? null : kernelTypeId(rule.kind, `${rule.prefix}${spec.target}`);
  if (id === null) {
    throw bpfError("PENSTOCK_BPF_UNAVAILABLE", {
      detail: `this kernel has no ${spec.target ?? "target"} for ${spec.section}`,
    });
  }
  return id;
}
