/**
 * A collection as an object file describes it: pure data, no descriptors, so it can be read, compared and tested
 * without privileges. `kernel/collection.ts` makes the real thing from it.
 */
import type { Btf } from "#bpf/btf/types.ts";

export interface CollectionSpec {
  readonly license: string;
  /** Null when the object was built without -g: then maps must give their sizes as numbers. */
  readonly btf: Btf | null;
  readonly maps: ReadonlyMap<string, MapDefinition>;
  readonly programs: ReadonlyMap<string, ProgramSpec>;
  readonly globals: ReadonlyMap<string, GlobalSpec>;
}

export interface MapDefinition {
  readonly name: string;
  /** enum bpf_map_type */
  readonly type: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** Meaning by kind: the number of hash functions of a bloom filter. */
  readonly extra: bigint;
  /** LIBBPF_PIN_*: 0 none, 1 by name. */
  readonly pinning: number;
  /** BTF ids; 0 where only a size is known. */
  readonly keyType: number;
  readonly valueType: number;
  /** Of a map of maps: what each of them is like. */
  readonly inner: MapDefinition | null;
  /** Slots that the object fills with its own maps or programs. */
  readonly slots: readonly { readonly index: number; readonly name: string }[];
  /** A data section's bytes. Null for ordinary maps. */
  readonly contents: Buffer | null;
  /** `.rodata`: frozen once its contents are in, so the verifier can treat it as constants. */
  readonly frozen: boolean;
}

export interface ProgramSpec {
  readonly name: string;
  readonly section: string;
  /** enum bpf_prog_type */
  readonly type: number;
  /** enum bpf_attach_type */
  readonly attachType: number;
  /** BPF_F_* of program loading. */
  readonly flags: number;
  /** The kernel function or tracepoint that the section names, for kinds that need one. */
  readonly target: string | null;
  /** All reachable functions, one after the other, this one first. Map references are still open. */
  readonly instructions: Buffer;
  readonly references: readonly Reference[];
  readonly functions: InfoRecords;
  readonly lines: InfoRecords;
  readonly relocations: InfoRecords;
}

/** Records for the kernel, their offsets counted in the linked instructions. */
export interface InfoRecords {
  readonly recordBytes: number;
  readonly count: number;
  readonly bytes: Buffer;
}

/** An instruction that a descriptor or kernel id has to be written into. */
export type Reference =
  | { readonly kind: "map"; readonly at: number; readonly name: string }
  /** Address of a byte of the (only) value of a data section's map. */
  | { readonly kind: "map-value"; readonly at: number; readonly name: string; readonly offset: number }
  /** A kernel function or variable by its name in the kernel's own BTF. */
  | { readonly kind: "kernel-function"; readonly at: number; readonly name: string; readonly weak: boolean }
  | { readonly kind: "kernel-variable"; readonly at: number; readonly name: string; readonly weak: boolean };

export interface GlobalSpec {
  readonly name: string;
  /** The data section's map. */
  readonly map: string;
  readonly offset: number;
  readonly size: number;
  /** BTF id of its type. */
  readonly type: number;
}
