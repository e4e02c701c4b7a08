/**
 * BTF as data: one object a type, referring to others by id. Id 0 is void.
 *
 * Source: Documentation/bpf/btf.rst, linux/btf.h.
 */

export type BtfType =
  | { readonly kind: "void" }
  | {
      readonly kind: "int";
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly char: boolean;
      readonly bool: boolean;
      /** Legacy bit-field form: bits used, and where they begin within the bytes. */
      readonly bits: number;
      readonly bitOffset: number;
    }
  | { readonly kind: "pointer"; readonly type: number }
  | { readonly kind: "array"; readonly element: number; readonly index: number; readonly count: number }
  | {
      readonly kind: "struct" | "union";
      readonly name: string;
      readonly size: number;
      readonly members: readonly BtfMember[];
    }
  | {
      readonly kind: "enum";
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly values: readonly { readonly name: string; readonly value: number }[];
    }
  | {
      readonly kind: "enum64";
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly values: readonly { readonly name: string; readonly value: bigint }[];
    }
  | { readonly kind: "forward"; readonly name: string; readonly union: boolean }
  | {
      readonly kind: "typedef" | "volatile" | "const" | "restrict" | "type-tag";
      readonly name: string;
      readonly type: number;
    }
  | { readonly kind: "function"; readonly name: string; readonly type: number; readonly linkage: number }
  | {
      readonly kind: "prototype";
      readonly returns: number;
      readonly parameters: readonly { readonly name: string; readonly type: number }[];
    }
  | { readonly kind: "variable"; readonly name: string; readonly type: number; readonly linkage: number }
  | {
      readonly kind: "data-section";
      readonly name: string;
      readonly size: number;
      readonly variables: readonly { readonly type: number; readonly offset: number; readonly size: number }[];
    }
  | { readonly kind: "float"; readonly name: string; readonly size: number }
  | { readonly kind: "decl-tag"; readonly name: string; readonly type: number; readonly component: number };

export interface BtfMember {
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  /** 0 unless it is a bit-field. */
  readonly bits: number;
}

/** Linkage of functions and variables. */
export const LINKAGE_STATIC = 0;
export const LINKAGE_GLOBAL = 1;
export const LINKAGE_EXTERN = 2;

/** Types nest no deeper in any program the kernel takes (its own bound on resolving is 32). */
const DEPTH_MAX = 32;

/** A whole type section, with the string section it came with. */
export class Btf {
  readonly types: readonly BtfType[];
  /** The original string section: .BTF.ext refers into it, so it only ever grows. */
  readonly strings: Buffer;

  constructor(types: readonly BtfType[], strings: Buffer) {
    this.types = types;
    this.strings = strings;
  }

  type(id: number): BtfType {
    return this.types[id] ?? VOID;
  }

  /** The id of the type behind typedefs and qualifiers. */
  resolve(id: number): number {
    let at = id;
    for (let depth = 0; depth < DEPTH_MAX; depth++) {
      const type = this.type(at);
      switch (type.kind) {
        case "typedef":
        case "volatile":
        case "const":
        case "restrict":
        case "type-tag":
          at = type.type;
          break;
        case "variable":
        case "decl-tag":
          at = type.type;
          break;
        default:
          return at;
      }
    }
    return 0;
  }

  resolved(id: number): BtfType {
    return this.type(this.resolve(id));
  }

  /** Size in bytes; 0 where a type has none (void, functions, what refers to itself). */
  sizeOf(id: number, depth = 0): number {
    if (depth > DEPTH_MAX) return 0;
    const type = this.resolved(id);
    switch (type.kind) {
      case "int":
      case "struct":
      case "union":
      case "enum":
      case "enum64":
      case "float":
      case "data-section":
        return type.size;
      case "pointer":
        return 8;
      case "array":
        return type.count * this.sizeOf(type.element, depth + 1);
      default:
        return 0;
    }
  }

  /** Id of the first type of a kind with this name; 0 when there is none. */
  find(kind: BtfType["kind"], name: string): number {
    const id = this.types.findIndex((type) => type.kind === kind && "name" in type && type.name === name);
    return Math.max(id, 0);
  }
}

export const VOID: BtfType = { kind: "void" };
