/** Builds plugins once for all tests of a file, and puts filters around them. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filterSpec, PLUGIN, RESOURCES, TestServices } from "#test/support/wasm.ts";
import { wat } from "#test/support/wat.ts";
import { buildPlugin } from "#sdk/tooling/build.ts";
import { formatDiagnostic } from "#sdk/tooling/diagnostic.ts";
import type { PluginFilterSpec } from "#snapshot/snapshot.ts";
import { createWasmFilter, loadModule, type WasmFilter } from "#wasm/create-filter.ts";
import { ByteWriter } from "#wasm/meter/writer.ts";
import { DEFAULT_MODULE_LIMITS, prepareModule } from "#wasm/prepare.ts";

const PAGE_BYTES = 65_536;

export interface Made {
  readonly filter: WasmFilter;
  readonly services: TestServices;
}

export async function fromWasm(
  wasm: Uint8Array,
  spec: Partial<PluginFilterSpec> = {},
  services = new TestServices(),
): Promise<Made> {
  const full = filterSpec(spec);
  // As uploads are: what a route grants less is refused where it is to run.
  const pages = Math.max(DEFAULT_MODULE_LIMITS.memoryPagesMax, full.limits.memoryBytes / PAGE_BYTES);
  const limits = { ...DEFAULT_MODULE_LIMITS, memoryPagesMax: pages };
  const module = await loadModule(prepareModule(wasm, limits).bytes);
  return { filter: await createWasmFilter(full, PLUGIN, module, services, RESOURCES), services };
}

/** A hand-written module around a request hook, with everything the interface wants. */
export function hook(body: string, fields = "", memory = '(memory (export "memory") 1)'): Uint8Array {
  return wat(`(module ${fields} ${memory} (func (export "penstock_abi_1"))
    (func (export "on_request") (result i32) ${body}))`);
}

export async function build(directory: string): Promise<Uint8Array> {
  const { wasm, diagnostics } = await buildPlugin(directory);
  if (wasm.length === 0) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
  return wasm;
}

/** Compiles a plugin of one source. */
export async function fromSource(source: string): Promise<Uint8Array> {
  const directory = await mkdtemp(join(tmpdir(), "penstock-plugin-"));
  try {
    await mkdir(join(directory, "assembly"));
    await writeFile(join(directory, "assembly/index.ts"), source);
    return await build(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

export function sample(name: string): string {
  return join(import.meta.dirname, "../../../wasm-plugins", name);
}

/** The same as `hook`, from the bytes of the body: for what is too large for an assembler. */
export function hookOfBytes(write: (body: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter();
  out.code(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  const section = (id: number, fill: (contents: ByteWriter) => void) => {
    const contents = new ByteWriter();
    fill(contents);
    out.section(id, contents);
  };
  section(1, (types) => types.code(2, 0x60, 0, 1, 0x7f, 0x60, 0, 0));
  section(3, (functions) => functions.code(2, 0, 1));
  section(5, (memory) => memory.code(1, 0, 1));
  section(7, (exports) => {
    exports.u8(3);
    exports.name("memory");
    exports.code(2, 0);
    exports.name("on_request");
    exports.code(0, 0);
    exports.name("penstock_abi_1");
    exports.code(0, 1);
  });
  section(10, (code) => {
    const body = new ByteWriter();
    write(body);
    code.u8(2);
    code.u32(body.length);
    code.raw(body.bytes());
    code.code(2, 0, 0x0b);
  });
  return out.bytes().slice();
}
