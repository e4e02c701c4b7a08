/**
 * `kill -9` of the control process at any moment of writing: changes and uploads as fast as they are acknowledged, cut off
 * between two of them or within one, again and again on one store. Nothing that was acknowledged may be missing afterwards.
 */
import { existsSync } from "node:fs";
import { moduleFile } from "#control/protocol.ts";
import { readLastGood } from "#control/store/last-good.ts";
import { FakeSupervisor, wasmModule } from "#test/integration/control/fake-supervisor.ts";

export interface Survived {
  readonly kills: number;
  /** Changes and uploads that were acknowledged, all rounds together. */
  readonly acknowledged: number;
  readonly uploads: number;
  /** What was missing, or there and must not be. */
  readonly lost: readonly string[];
}

/** The kill falls within so many milliseconds after a round's first acknowledgement: some changes long. */
const SPREAD_MS = 40;

export async function storeKills(kills: number): Promise<Survived> {
  const gateway = new FakeSupervisor();
  const lost: string[] = [];
  let acknowledged = 0;
  let uploads = 0;
  try {
    await gateway.start();
    await gateway.put("/v1/tenants/acme", { hosts: ["*.acme.example"], quotas: { pluginBytes: 2 ** 30 } });
    for (let kill = 0; kill < kills; kill++) {
      const round = new Round(gateway, acknowledged, uploads);
      await round.writeUntilKilled((kill * SPREAD_MS) / kills);
      for (const { digest } of readLastGood(gateway.dataDir)?.plugins ?? []) {
        if (!existsSync(moduleFile(gateway.dataDir, digest)))
          lost.push(`kill ${kill}: a module of the last good snapshot`);
      }
      await gateway.start();
      const found = await round.found();
      lost.push(...found.lost.map((one) => `kill ${kill}: ${one}`));
      ({ acknowledged, uploads } = found);
    }
  } finally {
    await gateway.dispose();
  }
  return { kills, acknowledged, uploads, lost };
}

class Round {
  readonly #gateway: FakeSupervisor;
  #acknowledged: number;
  #uploads: number;

  constructor(gateway: FakeSupervisor, acknowledged: number, uploads: number) {
    this.#gateway = gateway;
    this.#acknowledged = acknowledged;
    this.#uploads = uploads;
  }

  async writeUntilKilled(afterMs: number): Promise<void> {
    let killed: Promise<void> | undefined;
    try {
      while (await this.#write()) {
        killed ??= new Promise<void>((resolve) => setTimeout(resolve, afterMs)).then(() => this.#gateway.kill());
      }
    } catch {
      // Cut off: whether the change under way was made is open, and either is right.
    }
    await (killed ?? this.#gateway.kill());
  }

  async #write(): Promise<boolean> {
    const next = this.#acknowledged + 1;
    const upstream = { endpoints: [{ address: "127.0.0.1:80" }], idleConnectionsMax: next % 10_000 };
    const { status } = await this.#gateway.put("/v1/upstreams/counter", upstream);
    if (status !== 200 && status !== 201) return false;
    this.#acknowledged = next;
    const path = `/v1/tenants/acme/plugins/p/versions/${this.#uploads + 1}`;
    const module = wasmModule(this.#uploads % 256);
    if ((await this.#gateway.upload(path, module)).status === 201) this.#uploads++;
    return true;
  }

  async found(): Promise<{ acknowledged: number; uploads: number; lost: string[] }> {
    const lost: string[] = [];
    const get = async (path: string): Promise<unknown> => (await this.#gateway.call("GET", path)).json;
    const { idleConnectionsMax = -1 } = (await get("/v1/upstreams/counter")) as { idleConnectionsMax?: number };
    const expected = [this.#acknowledged, this.#acknowledged + 1].map((count) => count % 10_000);
    const at = expected.indexOf(idleConnectionsMax);
    if (at < 0 && this.#acknowledged > 0)
      lost.push(`change ${this.#acknowledged} was acknowledged, ${idleConnectionsMax} is there`);
    const plugins = (await get("/v1/tenants/acme/plugins?limit=1000")) as { items: { digest: string }[] };
    if (plugins.items.length < this.#uploads) lost.push(`${this.#uploads} uploads, ${plugins.items.length} are there`);
    for (const { digest } of plugins.items) {
      if (!existsSync(moduleFile(this.#gateway.dataDir, digest)))
        lost.push(`the file of module ${digest.slice(0, 12)}`);
    }
    const revisions = (await get("/v1/revisions?limit=1000")) as { items: { state: string }[] };
    if (revisions.items.some(({ state }) => state === "pending")) lost.push("a revision is pending");
    return { acknowledged: this.#acknowledged + Math.max(at, 0), uploads: plugins.items.length, lost };
  }
}
