/**
 * Components by hand, for what no toolchain would make: sections of the binary format around core modules. Types are left out where
 * the gateway does not look at them, so other engines would refuse these.
 */
import { ByteWriter } from "#wasm/meter/writer.ts";

export type Fill = (out: ByteWriter) => void;

const PREAMBLE = [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0];

/** Sections of a component, in their order. */
export class ComponentBuilder {
  readonly #out = new ByteWriter();

  constructor() {
    this.#out.code(...PREAMBLE);
  }

  section(id: number, fill: Fill): this {
    const contents = new ByteWriter();
    fill(contents);
    this.#out.section(id, contents);
    return this;
  }

  vector(id: number, ...entries: readonly Fill[]): this {
    return this.section(id, (out) => {
      out.u32(entries.length);
      for (const entry of entries) entry(out);
    });
  }

  module(bytes: Uint8Array): this {
    return this.section(1, (out) => out.raw(bytes));
  }

  component(inner: ComponentBuilder): this {
    return this.section(4, (out) => out.raw(inner.bytes()));
  }

  /** Each argument: the name of an import, and the core instance that it is. */
  instantiate(module: number, args: Readonly<Record<string, number>> = {}): this {
    return this.vector(2, (out) => {
      out.u8(0);
      out.u32(module);
      out.u32(Object.keys(args).length);
      for (const [name, instance] of Object.entries(args)) {
        out.name(name);
        out.u8(0x12);
        out.u32(instance);
      }
    });
  }

  /** A core instance of core functions. */
  together(functions: Readonly<Record<string, number>>): this {
    return this.vector(2, (out) => {
      out.u8(1);
      out.u32(Object.keys(functions).length);
      for (const [name, index] of Object.entries(functions)) {
        out.name(name);
        out.u8(0);
        out.u32(index);
      }
    });
  }

  /** A core export: 0 a function, 1 a table, 2 a memory, 3 a global. */
  coreAlias(instance: number, name: string, sort = 0): this {
    return this.vector(6, (out) => {
      out.code(0, sort, 1);
      out.u32(instance);
      out.name(name);
    });
  }

  importInstance(name: string): this {
    return this.vector(10, (out) => {
      out.u8(0);
      out.name(name);
      out.code(5, 0);
    });
  }

  importFunction(name: string): this {
    return this.vector(10, (out) => {
      out.u8(0);
      out.name(name);
      out.code(1, 0);
    });
  }

  /** Of a component inside; `args`: functions by the names of its imports. */
  instantiateComponent(component: number, args: Readonly<Record<string, number>> = {}): this {
    return this.vector(5, (out) => {
      out.u8(0);
      out.u32(component);
      out.u32(Object.keys(args).length);
      for (const [name, index] of Object.entries(args)) {
        out.name(name);
        out.u8(1);
        out.u32(index);
      }
    });
  }

  functionAlias(instance: number, name: string): this {
    return this.vector(6, (out) => {
      out.code(1, 0);
      out.u32(instance);
      out.name(name);
    });
  }

  /** `options`: as bytes, one an entry. */
  lower(index: number, ...options: readonly (readonly number[])[]): this {
    return this.vector(8, (out) => {
      out.code(1, 0);
      out.u32(index);
      out.u32(options.length);
      for (const option of options) out.code(...option);
    });
  }

  lift(core: number, ...options: readonly (readonly number[])[]): this {
    return this.vector(8, (out) => {
      out.code(0, 0);
      out.u32(core);
      out.u32(options.length);
      for (const option of options) out.code(...option);
      out.u32(0);
    });
  }

  exportFunction(name: string, index: number): this {
    return this.vector(11, (out) => {
      out.u8(0);
      out.name(name);
      out.u8(1);
      out.u32(index);
      out.u8(0);
    });
  }

  bytes(): Uint8Array {
    return this.#out.bytes().slice();
  }
}
