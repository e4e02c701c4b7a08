/**
 * One uploaded module in, its metered form or the reason against it out; then the process ends. Started confined, without
 * network, and bounded in time and memory by the supervisor (gateway/main/supervisor/builds.ts): a module may be made to
 * be hard to read.
 */
import { PenstockError } from "#core/errors.ts";
import { compileModule } from "#wasm/engine.ts";
import { DEFAULT_MODULE_LIMITS, prepareModule } from "#wasm/prepare.ts";
import { capabilitiesOf } from "#wasm/validate/capabilities.ts";
import type { BuildOrder, FromBuilder } from "./protocol.ts";

/** To be raised whenever the rewriter's output changes: modules that an earlier one made are then built again. */
const REWRITER = "meter-4";
const PAGE_BYTES = 65_536;

async function build({ bytes, moduleBytesMax, memoryBytesMax }: BuildOrder): Promise<FromBuilder> {
  try {
    const limits = {
      ...DEFAULT_MODULE_LIMITS,
      bytesMax: moduleBytesMax,
      memoryPagesMax: Math.floor(memoryBytesMax / PAGE_BYTES),
    };
    const prepared = prepareModule(bytes, limits);
    // Compiled once here, all of it, so that a module the engine takes too long over fails here and not in a worker.
    await compileModule(prepared.bytes);
    return {
      type: "built",
      ok: true,
      metered: prepared.bytes,
      facts: {
        abi: prepared.abi,
        hooks: prepared.hooks,
        imports: prepared.imports,
        capabilities: capabilitiesOf(prepared.imports),
        memoryBytesMin: prepared.memoryPages.min * PAGE_BYTES,
        builder: REWRITER,
      },
    };
  } catch (error) {
    // Anything else is a bug of the rewriter: the process dies of it, loudly, and the module is refused.
    if (!(error instanceof PenstockError)) throw error;
    const offset = /at byte (\d+)/.exec(error.message)?.[1];
    const refusal = { type: "built", ok: false, code: error.code, detail: error.message } as const;
    return offset === undefined ? refusal : { ...refusal, offset: Number(offset) };
  }
}

const send = (message: FromBuilder): void => {
  process.send?.(message);
};

process.on("message", async (order: BuildOrder) => send(await build(order)));
process.on("disconnect", () => process.exit(0));
send({ type: "hello" });
