/** The builder process: one order, one answer, over IPC with advanced serialization. */
import { fork } from "node:child_process";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { wat } from "#test/support/wat.ts";
import { prepareModule } from "#wasm/prepare.ts";
import type { BuildOrder, FromBuilder } from "#worker/protocol.ts";
import { hook, hookOfBytes } from "./plugins.ts";

const ENTRY = join(import.meta.dirname, "../../../gateway/worker/builder.ts");
const started: ReturnType<typeof fork>[] = [];

afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

function build(bytes: Uint8Array, more: Partial<BuildOrder> = {}): Promise<FromBuilder & { type: "built" }> {
  const child = fork(ENTRY, { serialization: "advanced", stdio: ["ignore", "ignore", "pipe", "ipc"] });
  started.push(child);
  return new Promise((resolve, reject) => {
    child.on("message", (message: FromBuilder) => {
      if (message.type === "built") resolve(message);
      else child.send({ type: "build", bytes, moduleBytesMax: 4 << 20, memoryBytesMax: 1 << 20, ...more });
    });
    child.once("exit", (code, signal) => reject(new Error(`the builder ended: ${code ?? signal}`)));
  });
}

describe("the builder", () => {
  it("answers with the metered module and its facts", async () => {
    const wasm = hook(`(i32.const 0)`, `(import "penstock" "status" (func (result i32)))`);
    const built = await build(wasm);
    expect(built).toMatchObject({
      ok: true,
      facts: { abi: "penstock 1", hooks: ["on_request"], imports: ["status"], memoryBytesMin: 65_536 },
    });
    if (built.ok) expect(Buffer.from(built.metered).equals(prepareModule(wasm).bytes)).toBe(true);
  });

  it("says what is wrong, and where", async () => {
    const nobodys = await build(wat(`(module (import "env" "x" (func)))`));
    expect(nobodys).toMatchObject({ ok: false, code: "PENSTOCK_WASM_INTERFACE" });
    const foreign = await build(wat(`(module (import "env" "x" (func)) (func (export "penstock_abi_1")))`));
    expect(foreign).toMatchObject({ ok: false, code: "PENSTOCK_WASM_REFUSED", offset: expect.any(Number) });
    expect(await build(new TextEncoder().encode("hello, module"))).toMatchObject({
      ok: false,
      code: "PENSTOCK_WASM_INVALID",
      offset: 0,
    });
    const wide = hook(`(i32.const 0)`, "", `(memory (export "memory") 2)`);
    expect(await build(wide, { memoryBytesMax: 65_536 })).toMatchObject({ ok: false, code: "PENSTOCK_WASM_LIMIT" });
    expect(await build(wide, { moduleBytesMax: 10 })).toMatchObject({ ok: false, code: "PENSTOCK_WASM_LIMIT" });
  });

  it("gets through a function that is built to be hard, within a second or two", async () => {
    const hard = hookOfBytes((body) => {
      body.code(1, 100, 0x7e); // 100 locals
      while (body.length < 250_000) {
        for (let depth = 0; depth < 499; depth++) body.code(0x03, 0x40);
        for (let depth = 499; depth > 0; depth--) {
          body.code(0x41, 0, 0x0d, (depth - 1) & 0x3f, 0x20, depth % 100, 0x21, (depth + 1) % 100, 0x0b);
        }
      }
      body.code(0x41, 0, 0x0b);
    });
    expect(await build(hard)).toMatchObject({ ok: true });
    // The same work here, where its time on the processor can be told from the time that others had it.
    const start = process.cpuUsage();
    prepareModule(hard);
    expect(process.cpuUsage(start).user).toBeLessThan(10_000_000);
  });

  it("ends with its parent's channel", async () => {
    const child = fork(ENTRY, { serialization: "advanced", stdio: ["ignore", "ignore", "ignore", "ipc"] });
    started.push(child);
    await new Promise((resolve) => child.once("message", resolve));
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.disconnect();
    expect(await ended).toBe(0);
  });
});
