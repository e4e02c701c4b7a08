import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_CONFIG_FILE, DEFAULT_MODULE_FILE, defaultConfig } from "#control/default-config.ts";
import { moduleFile } from "#control/protocol.ts";
import { readLastGood } from "#control/store/last-good.ts";
import { storeKills } from "#test/soak/store-kills.ts";
import { faults } from "#test/soak/verdicts.ts";
import { accept, FakeSupervisor, wasmModule } from "./fake-supervisor.ts";

let gateway: FakeSupervisor;
beforeEach(() => void (gateway = new FakeSupervisor()));
afterEach(() => gateway.dispose());

const author = "run";
const defaults = () => ({
  author,
  sources: [{ file: DEFAULT_CONFIG_FILE, text: defaultConfig({ echoAddress: "127.0.0.1:9999" }) }],
  modules: [{ file: DEFAULT_MODULE_FILE, bytes: wasmModule(1) }],
});

describe("a start", () => {
  it("declares the embedded default once, and gives the workers what is in force from then on", async () => {
    expect(await gateway.start()).toBe(0);
    expect(await gateway.declare(defaults())).toEqual({
      type: "declared",
      id: 1,
      ok: true,
      revision: 1,
      changed: true,
    });
    expect(await gateway.declare(defaults())).toMatchObject({ ok: true, revision: 1, changed: false });
    const [snapshot] = gateway.applied;
    expect(snapshot).toMatchObject({
      listeners: [{ address: "127.0.0.1:8080" }],
      upstreams: [{ endpoints: [{ address: "127.0.0.1:9999", weight: 1 }] }],
      routes: [
        { match: { hosts: [], path: { kind: "prefix", value: "/" } }, filters: [{ config: { token: "s3cret" } }] },
      ],
    });
    expect(existsSync(moduleFile(gateway.dataDir, snapshot?.plugins[0]?.digest ?? ""))).toBe(true);

    expect(await gateway.shutdown()).toBe(0);
    expect(await gateway.start()).toBe(1);
    await expect.poll(() => gateway.applied.length).toBe(2);
    expect(gateway.applied[1]).toEqual(snapshot);
  });

  it("names file, line, pointer and mend of a broken penstock.yaml", async () => {
    await gateway.start();
    const text =
      'listeners:\n  - name: web\n    address: "localhost:80"\n    protocl: http\nroutes:\n  - { name: a, tenant: nobody }\n';
    const reply = await gateway.declare({ author, sources: [{ file: "penstock.yaml", text }], modules: [] });
    expect(reply).toMatchObject({ ok: false, revision: 0, changed: false, code: "PENSTOCK_CONFIG_INVALID" });
    const found = (reply.findings ?? []).map(({ at, pointer }) => `${at} ${pointer}`).toSorted();
    expect(found).toEqual([
      "penstock.yaml:3:5 /listeners/0/address",
      "penstock.yaml:4:5 /listeners/0/protocl",
      "penstock.yaml:6:16 /routes/0/tenant",
      "penstock.yaml:6:5 /routes/0",
    ]);
    const mends = (reply.findings ?? []).map(({ detail }) => detail).join("\n");
    expect(mends).toContain('did you mean "protocol"?');
    expect(mends).toContain('write "127.0.0.1:80"');
    expect(gateway.applied).toEqual([]);
  });

  it("points at each plugin whose module the builder refuses", async () => {
    await gateway.start();
    const modules = [{ file: DEFAULT_MODULE_FILE, bytes: Buffer.from("no") }];
    const reply = await gateway.declare({ ...defaults(), modules });
    expect(reply).toMatchObject({
      ok: false,
      findings: [{ pointer: "/plugins/0/file", code: "PENSTOCK_WASM_INVALID", at: "penstock.yaml (embedded):13:57" }],
    });
  });

  it("writes nothing that others can read, and makes the first token once", async () => {
    await gateway.start();
    const token = readFileSync(join(gateway.dataDir, "admin.token"), "utf8");
    expect(token).toMatch(/^pst_[A-Za-z0-9_-]{43}\n$/);
    await gateway.declare(defaults());
    for (const name of readdirSync(gateway.dataDir, { recursive: true, encoding: "utf8" })) {
      if (name === "admin.sock") continue;
      expect([name, statSync(join(gateway.dataDir, name)).mode & 0o077]).toEqual([name, 0]);
    }
    expect(readFileSync(join(gateway.dataDir, "store.db")).includes(token.trim())).toBe(false);
    await gateway.shutdown();
    await gateway.start();
    expect(readFileSync(join(gateway.dataDir, "admin.token"), "utf8")).toBe(token);
  });

  it("sweeps blobs that no row names", async () => {
    await gateway.start();
    await gateway.declare(defaults());
    await gateway.shutdown();
    const blobs = join(gateway.dataDir, "blobs");
    const kept = readdirSync(blobs).toSorted();
    expect(kept).toHaveLength(2);
    writeFileSync(join(blobs, "f".repeat(64)), "orphan");
    writeFileSync(join(blobs, `.partial-${"f".repeat(64)}`), "orph");
    await gateway.start();
    expect(readdirSync(blobs).toSorted()).toEqual(kept);
  });

  it("goes on with the last good one when the current is refused", async () => {
    await gateway.start();
    await gateway.declare(defaults());
    await gateway.shutdown();
    gateway.applyAnswer = ({ id }) => ({
      type: "applied",
      id,
      ok: false,
      results: [{ worker: 0, ok: false, error: "no" }],
    });
    expect(await gateway.start()).toBe(1);
    expect((await gateway.call("GET", "/livez")).status).toBe(200);
    expect(readLastGood(gateway.dataDir)?.revision).toBe(1);
    await expect.poll(() => gateway.log).toContain("refused at start");
  });
});

describe("an end", () => {
  it("comes with the channel's", async () => {
    await gateway.start();
    expect(await gateway.disconnect()).toBe(0);
  });

  it("by shutdown waits for the change under way", async () => {
    await gateway.start();
    const gate = Promise.withResolvers<void>();
    gateway.applyAnswer = async (request) => {
      await gate.promise;
      return accept(request);
    };
    const answer = gateway.put("/v1/listeners/web", { address: "127.0.0.1:80", protocol: "http" });
    await expect
      .poll(async () => (await gateway.call("GET", "/v1/revisions")).json)
      .toMatchObject({ items: [{ state: "pending" }] });
    const exit = gateway.shutdown();
    gate.resolve();
    expect((await answer).status).toBe(201);
    expect(await exit).toBe(0);
  });
});

describe("kill -9", () => {
  // `npm run soak -- store` does it 200 times.
  it("at any moment loses nothing that was acknowledged", async () => {
    const found = await storeKills(15);
    expect(faults({ name: "store", found })).toEqual([]);
  }, 240_000);
});
