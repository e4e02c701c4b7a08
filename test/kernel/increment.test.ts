import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { asFd } from "#core/brands.ts";
import { SharedKernelMap } from "#bpf/manager/shared-maps.ts";
import { KernelMap } from "#worker/maps/kernel-map.ts";
import type { SharedMapSpec } from "#worker/maps/spec.ts";
import { describeKernel } from "#test/support/kernel.ts";

const SPEC: SharedMapSpec = {
  name: "counts",
  type: "lru-hash",
  key: "bytes",
  keyBytes: 4,
  value: "counter",
  valueBytes: 8,
  maxEntries: 1024,
};
const WORKER = path.join(import.meta.dirname, "../support/increment-many.ts");

describeKernel("increments of several processes", () => {
  let shared: SharedKernelMap;
  beforeEach(() => {
    shared = new SharedKernelMap(SPEC);
  });
  afterEach(() => shared.close());

  it("lose nothing, and one of them sees the whole sum", async () => {
    const each = 20_000;
    const workers = [1, 2, 3].map(() =>
      // Descriptor 3 is the map, as a worker without privileges would get it.
      spawn(process.execPath, [WORKER, String(each)], {
        stdio: ["ignore", "pipe", "inherit", shared.map.fd],
        uid: 65_534,
        gid: 65_534,
      }),
    );
    const greatest = await Promise.all(
      workers.map(async (worker) => {
        let text = "";
        worker.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        await once(worker, "close");
        return Number(text);
      }),
    );
    const total = new KernelMap(SPEC, asFd(shared.map.fd)).get(Buffer.alloc(4));
    expect(Buffer.from(total ?? []).readBigUInt64LE(0)).toBe(BigInt(3 * each));
    expect(Math.max(...greatest)).toBe(3 * each);
  });
});
