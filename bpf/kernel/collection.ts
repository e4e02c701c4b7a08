/**
 * A collection in the kernel: types loaded, maps made and filled, programs verified; nothing attached. Whole or not at
 * all: when any step fails, what the earlier ones made is closed again.
 */
import type { Fd } from "#core/brands.ts";
import { bpfError } from "#core/errors/bpf.ts";
import { BPF, bpfCall, putPointer } from "#sys/bpf.ts";
import { encodeValue, type BtfValue } from "#bpf/btf/codec.ts";
import type { Btf } from "#bpf/btf/types.ts";
import { writeBtf } from "#bpf/btf/write.ts";
import {
  PSEUDO_BTF_ID,
  PSEUDO_KFUNC_CALL,
  PSEUDO_MAP_FD,
  PSEUDO_MAP_VALUE,
  setImmediate32,
  setSourceRegister,
} from "#bpf/spec/instructions.ts";
import type { CollectionSpec, MapDefinition, ProgramSpec, Reference } from "#bpf/spec/spec.ts";
import { callError, closeFd } from "./call.ts";
import { asFd } from "#core/brands.ts";
import { kernelTypeId, lookUp, targetId, targetType } from "./kernel-types.ts";
import { BpfMap } from "./map.ts";
import { MappedArray, MappedValue } from "./mapped.ts";
import { Program } from "./program.ts";

export interface CollectionOptions {
  /** Maps made elsewhere, put in the place of the object's own of that name. They stay their owner's. */
  readonly maps?: Readonly<Record<string, BpfMap>>;
  /** Initial values of global variables, by name; bytes are taken as they are. */
  readonly globals?: Readonly<Record<string, BtfValue | Uint8Array>>;
  /** Only these programs. */
  readonly programs?: readonly string[];
}

export class Collection {
  readonly spec: CollectionSpec;
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly programs: ReadonlyMap<string, Program>;
  readonly #owned: readonly { close(): void }[];

  private constructor(
    spec: CollectionSpec,
    maps: Map<string, BpfMap>,
    programs: Map<string, Program>,
    owned: { close(): void }[],
  ) {
    this.spec = spec;
    this.maps = maps;
    this.programs = programs;
    this.#owned = owned;
  }

  /** Throws VerifierError, or PENSTOCK_BPF_CALL naming the step. */
  static load(spec: CollectionSpec, options: CollectionOptions = {}): Collection {
    const owned: { close(): void }[] = [];
    try {
      const btf = spec.btf === null ? null : loadTypes(spec.btf);
      if (btf !== null) owned.push({ close: () => closeFd(btf) });
      const maps = makeMaps(spec, options, btf, owned);
      const programs = loadPrograms(spec, options, maps, btf, owned);
      fillSlots(spec, maps, programs);
      return new Collection(spec, maps, programs, owned);
    } catch (error) {
      for (const each of owned) each.close();
      throw error;
    }
  }

  map(name: string): BpfMap {
    const map = this.maps.get(name);
    if (map === undefined) throw bpfError("PENSTOCK_BPF_MAP_UNKNOWN", { detail: name });
    return map;
  }

  /** A global variable of `.data` or `.bss`, in memory that the programs share; valid until `close`. */
  global(name: string): MappedValue {
    const global = this.spec.globals.get(name);
    if (this.spec.btf === null || global === undefined) {
      throw bpfError("PENSTOCK_BPF_TYPES", { detail: `no global variable ${JSON.stringify(name)}` });
    }
    if (this.spec.maps.get(global.map)?.frozen === true) {
      throw bpfError("PENSTOCK_BPF_TYPES", { detail: `${name} is a constant: it is set when loading` });
    }
    return new MappedValue(this.spec.btf, global.type, this.map(global.map).memory(), global.offset);
  }

  /** A BPF_F_MMAPABLE array as memory that the programs share; valid until `close`. */
  mappedArray(name: string): MappedArray {
    const definition = this.spec.maps.get(name);
    if (this.spec.btf === null || definition === undefined || definition.valueType === 0) {
      throw bpfError("PENSTOCK_BPF_TYPES", { detail: `no array ${JSON.stringify(name)} whose type is known` });
    }
    return new MappedArray(this.map(name), this.spec.btf, definition.valueType);
  }

  program(name: string): Program {
    const program = this.programs.get(name);
    if (program === undefined) throw bpfError("PENSTOCK_BPF_OBJECT", { detail: `no program ${JSON.stringify(name)}` });
    return program;
  }

  /** Programs that are attached by links live on; maps that they or others use do too. */
  close(): void {
    for (const each of this.#owned) each.close();
  }
}

const LOG_BYTES = 1 << 20;

function loadTypes(btf: Btf): Fd {
  const bytes = writeBtf(btf);
  const attr = Buffer.alloc(40);
  putPointer(attr, 0, bytes);
  attr.writeUInt32LE(bytes.length, 16);
  const result = bpfCall(BPF.BTF_LOAD, attr);
  if (result >= 0) return asFd(result);
  const log = Buffer.alloc(LOG_BYTES);
  putPointer(attr, 8, log);
  attr.writeUInt32LE(log.length, 20);
  attr.writeUInt32LE(1, 24);
  const second = bpfCall(BPF.BTF_LOAD, attr);
  if (second >= 0) return asFd(second);
  const text = log.toString("latin1", 0, Math.max(log.indexOf(0), 0)).trimEnd();
  throw callError(`btf_load${text === "" ? "" : `: ${text.split("\n").at(-1)}`}`, -second);
}

function makeMaps(
  spec: CollectionSpec,
  options: CollectionOptions,
  btf: Fd | null,
  owned: { close(): void }[],
): Map<string, BpfMap> {
  const contents = dataContents(spec, options);
  const maps = new Map<string, BpfMap>();
  for (const definition of spec.maps.values()) {
    const given = options.maps?.[definition.name];
    if (given !== undefined) {
      checkFits(given, definition);
      maps.set(definition.name, given);
      continue;
    }
    const map = makeMap(definition, btf);
    owned.push(map);
    maps.set(definition.name, map);
    const bytes = contents.get(definition.name);
    if (bytes !== undefined) map.update(Buffer.alloc(4), bytes);
    if (definition.frozen) map.freeze();
  }
  return maps;
}

function makeMap(definition: MapDefinition, btf: Fd | null): BpfMap {
  const types = btf === null ? {} : { btf };
  if (definition.inner === null) return BpfMap.create(definition, types);
  const inner = BpfMap.create(definition.inner);
  try {
    return BpfMap.create(definition, { inner: inner.fd });
  } finally {
    // Only its shape was wanted.
    inner.close();
  }
}

function checkFits(map: BpfMap, definition: MapDefinition): void {
  const { type, keyBytes, valueBytes } = map.info;
  if (type === definition.type && keyBytes === definition.keyBytes && valueBytes === definition.valueBytes) return;
  const theirs = `type ${type}, ${keyBytes} and ${valueBytes} bytes`;
  const wanted = `type ${definition.type}, ${definition.keyBytes} and ${definition.valueBytes}`;
  throw bpfError("PENSTOCK_BPF_TYPES", {
    detail: `map ${map.name} (${theirs}) in place of ${definition.name} (${wanted})`,
  });
}

/** The data sections' bytes with the options' globals written in. */
function dataContents(spec: CollectionSpec, { globals = {} }: CollectionOptions): Map<string, Buffer> {
  const contents = new Map<string, Buffer>();
  for (const { name, contents: bytes } of spec.maps.values())
    if (bytes !== null) contents.set(name, Buffer.from(bytes));
  for (const [name, value] of Object.entries(globals)) {
    const global = spec.globals.get(name);
    const section = global === undefined ? undefined : contents.get(global.map);
    if (spec.btf === null || global === undefined || section === undefined) {
      throw bpfError("PENSTOCK_BPF_TYPES", { detail: `no global variable ${JSON.stringify(name)}` });
    }
    const bytes = value instanceof Uint8Array ? value : encodeValue(spec.btf, global.type, value);
    if (bytes.length !== global.size) {
      throw bpfError("PENSTOCK_BPF_TYPES", { detail: `${bytes.length} bytes for ${name}, which has ${global.size}` });
    }
    section.set(bytes, global.offset);
  }
  return contents;
}

function loadPrograms(
  spec: CollectionSpec,
  options: CollectionOptions,
  maps: ReadonlyMap<string, BpfMap>,
  btf: Fd | null,
  owned: { close(): void }[],
): Map<string, Program> {
  const programs = new Map<string, Program>();
  const wanted = [...spec.programs.values()].filter(({ name }) => options.programs?.includes(name) ?? true);
  lookUp(wanted.flatMap((each) => targetType(each) ?? []));
  for (const each of wanted) {
    const target = targetId(each);
    const loading = { license: spec.license, btf, ...(target === null ? {} : { targetId: target }) };
    const program = Program.load(each, resolve(each, maps), loading);
    owned.push(program);
    programs.set(each.name, program);
  }
  return programs;
}

/** A copy of the instructions with descriptors and kernel ids in place. */
function resolve(spec: ProgramSpec, maps: ReadonlyMap<string, BpfMap>): Buffer {
  const code = Buffer.from(spec.instructions);
  for (const reference of spec.references) patch(code, reference, spec, maps);
  return code;
}

function patch(code: Buffer, reference: Reference, spec: ProgramSpec, maps: ReadonlyMap<string, BpfMap>): void {
  const { at, name } = reference;
  switch (reference.kind) {
    case "map":
    case "map-value": {
      const map = maps.get(name);
      if (map === undefined) throw bpfError("PENSTOCK_BPF_MAP_UNKNOWN", { detail: `${name}, used by ${spec.name}` });
      setSourceRegister(code, at, reference.kind === "map" ? PSEUDO_MAP_FD : PSEUDO_MAP_VALUE);
      setImmediate32(code, at, map.fd);
      // The second half of the 64-bit constant: the offset within the value.
      setImmediate32(code, at + 8, reference.kind === "map" ? 0 : reference.offset);
      return;
    }
    case "kernel-function":
    case "kernel-variable": {
      const kind = reference.kind === "kernel-function" ? "function" : "variable";
      const id = kernelTypeId(kind, name);
      if (id === null && !reference.weak) {
        throw bpfError("PENSTOCK_BPF_UNAVAILABLE", {
          detail: `this kernel has no ${kind} ${name}, used by ${spec.name}`,
        });
      }
      if (reference.kind === "kernel-function") {
        if (id === null) return; // a weak one that is called all the same: the verifier says so
        setSourceRegister(code, at, PSEUDO_KFUNC_CALL);
        setImmediate32(code, at, id);
      } else {
        setSourceRegister(code, at, id === null ? 0 : PSEUDO_BTF_ID);
        setImmediate32(code, at, id ?? 0);
        setImmediate32(code, at + 8, 0);
      }
    }
  }
}

/** Slots of maps of maps and of program arrays that the object itself fills. */
function fillSlots(
  spec: CollectionSpec,
  maps: ReadonlyMap<string, BpfMap>,
  programs: ReadonlyMap<string, Program>,
): void {
  for (const definition of spec.maps.values()) {
    for (const { index, name } of definition.slots) {
      const fd = maps.get(name)?.fd ?? programs.get(name)?.fd;
      // A program that was left out on request leaves its slot empty.
      if (fd === undefined) continue;
      const key = Buffer.alloc(4);
      key.writeUInt32LE(index, 0);
      const value = Buffer.alloc(4);
      value.writeUInt32LE(fd, 0);
      maps.get(definition.name)?.update(key, value);
    }
  }
}
