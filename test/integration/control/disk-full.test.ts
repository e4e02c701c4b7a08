/** The disk is full: what was acknowledged stays, what can't be kept is refused, and it goes on when there is room again. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { FakeSupervisor, wasmModule } from "./fake-supervisor.ts";

const folder = mkdtempSync(join(tmpdir(), "penstock-small-"));
let gateway: FakeSupervisor | undefined;

afterEach(async () => {
  await gateway?.kill();
  execFileSync("umount", [folder]);
  rmSync(folder, { recursive: true });
});

it.skipIf(process.getuid?.() !== 0)("nothing acknowledged is lost, and control lives on", async () => {
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "penstock-test", folder]);
  gateway = new FakeSupervisor(folder);
  await gateway.start();
  await gateway.put("/v1/tenants/acme", { hosts: ["acme.example"] });

  const filler = join(folder, "filler");
  for (let kib = 4096; kib >= 1; kib /= 2) {
    try {
      writeFileSync(filler, Buffer.alloc(kib * 1024), { flag: "a" });
    } catch {
      // Until the smaller pieces do not fit either.
    }
  }
  const acknowledged: string[] = [];
  const statuses = new Set<number>();
  for (let i = 0; i < 30; i++) {
    const { status } = await gateway.put(`/v1/tenants/t${i}`, { hosts: [`t${i}.example`] });
    statuses.add(status);
    if (status === 201) acknowledged.push(`t${i}`);
  }
  // The log of the database may have had some room to itself.
  expect(statuses).toContain(500);
  expect((await gateway.upload("/v1/tenants/acme/plugins/guard/versions/1", wasmModule(1))).status).toBe(500);
  expect((await gateway.call("GET", "/v1/backup")).status).toBe(500);
  expect((await gateway.call("GET", "/v1/tenants/acme")).status).toBe(200);

  rmSync(filler);
  expect((await gateway.put("/v1/tenants/after", { hosts: ["after.example"] })).status).toBe(201);
  await gateway.kill();
  await gateway.start();
  for (const name of ["acme", ...acknowledged, "after"])
    expect((await gateway.call("GET", `/v1/tenants/${name}`)).status, name).toBe(200);
});
