/** Tracing of real connections between namespaces: what is measured of them, and what is told to who follows. */
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { familyOf, parseAddress } from "#core/address.ts";
import { asFd, type Fd } from "#core/brands.ts";
import { inNetworkNamespace } from "#sys/netns.ts";
import { bind, listen, setsockoptInt, SO_REUSEADDR, socket, SOL_SOCKET } from "#sys/socket.ts";
import { KernelManager } from "#bpf/manager/manager.ts";
import type { TracedEvent } from "#bpf/programs/trace/feature.ts";
import { Tracer } from "#bpf/programs/trace/tracer.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { connect, Namespace, removeLeftovers } from "#test/support/netns.ts";

/** Says what it is told, a while later; on "wait", nothing. */
class Slow {
  readonly fd: Fd;
  readonly connections = new Set<net.Socket>();
  readonly #server: net.Server;

  constructor(namespace: Namespace, address: string, delayMs: number) {
    const sockaddr = parseAddress(address);
    this.fd = asFd(inNetworkNamespace(namespace.path, () => socket(familyOf(sockaddr))));
    setsockoptInt(this.fd, SOL_SOCKET, SO_REUSEADDR, 1);
    bind(this.fd, sockaddr);
    listen(this.fd);
    this.#server = net.createServer((connection) => {
      this.connections.add(connection);
      connection.on("error", () => undefined).on("close", () => this.connections.delete(connection));
      connection.on("data", (bytes) => {
        if (bytes.toString() !== "wait") setTimeout(() => connection.end(bytes), delayMs);
      });
    });
    this.#server.listen({ fd: this.fd });
  }

  close(): void {
    for (const each of this.connections) each.destroy();
    this.#server.close();
  }
}

describeKernel("trace", () => {
  let client: Namespace;
  let gateway: Namespace;
  let manager: KernelManager;
  let servers: Slow[] = [];

  beforeAll(() => {
    removeLeftovers();
    client = new Namespace("trace-c");
    gateway = new Namespace("trace-g");
    connect(client, { device: "cl0", addresses: ["10.79.1.2/24", "fd00:79:1::2/64"] }, gateway, {
      device: "gw0",
      addresses: ["10.79.1.1/24", "fd00:79:1::1/64"],
    });
  });
  afterAll(() => {
    for (const each of [client, gateway]) each.destroy();
  });
  beforeEach(() => {
    manager = KernelManager.open();
    servers = [new Slow(gateway, "10.79.1.1:80", 30), new Slow(gateway, "[fd00:79:1::1]:80", 0)];
  });
  afterEach(() => {
    manager.close();
    for (const each of servers) each.close();
  });

  function trace(...traces: readonly { readonly listener: number; readonly slowMs?: number }[]): void {
    const listeners = servers.map(({ fd }, i) => ({
      name: ["slow", "quick"][i] ?? "",
      addresses: [],
      allSockets: [fd],
    }));
    manager.commit(manager.prepare({ maps: [], kernel: { interfaces: [], steering: [], traces }, listeners }));
  }

  function start(host: string, text: string) {
    const script = `
      const socket = require("node:net").connect(80, "${host}", () => socket.write("${text}"));
      socket.on("data", (bytes) => process.stdout.write(bytes)).on("error", () => undefined);
      process.stdin.on("data", () => socket.resetAndDestroy()).on("end", () => process.exit());`;
    return client.spawnWithInput(process.execPath, "-e", script);
  }

  async function ask(host: string): Promise<void> {
    const child = start(host, "hello");
    const [bytes] = (await once(child.stdout ?? expect.unreachable(), "data")) as [Buffer];
    expect(bytes.toString()).toBe("hello");
    child.stdin?.end();
    await once(child, "close");
  }

  /** Of a family: the values by the labels in the order given. */
  function values(name: string, ...labels: readonly string[]): Record<string, number> {
    const family = manager.status().counters.find((each) => each.name === `kernel_trace_${name}`);
    const named = (family?.samples ?? []).map((each) => {
      const key = [each.suffix ?? "", ...labels.map((label) => each.labels[label] ?? "")].filter((text) => text !== "");
      return [key.join(" "), each.value] as const;
    });
    return Object.fromEntries(named);
  }

  async function until(holds: () => boolean): Promise<void> {
    for (let i = 0; !holds(); i++) {
      expect(i).toBeLessThan(1000);
      await sleep(20);
    }
  }

  it("counts and measures connections by listener, over both families, and those of nobody else", async () => {
    trace({ listener: 0 }, { listener: 1 });
    await ask("10.79.1.1");
    await ask("10.79.1.1");
    await ask("fd00:79:1::1");
    await until(() => Object.values(values("connections", "listener", "state")).every((count) => count === 0));
    expect(values("connections_opened", "listener")).toEqual({ slow: 2, quick: 1 });
    expect(values("connections_closed", "listener")).toEqual({ slow: 2, quick: 1 });
    for (const family of ["handshake_seconds", "response_seconds", "round_trip_seconds", "lifetime_seconds"]) {
      expect(values(family, "listener", "le")).toMatchObject({
        "_count slow": 2,
        "_count quick": 1,
        "_bucket slow +Inf": 2,
      });
    }
    const responses = values("response_seconds", "listener", "le");
    // 30 ms lie in the bucket up to 32.8 ms at the earliest, and in none before.
    expect(responses["_bucket slow 0.016384"]).toBe(0);
    expect(responses["_sum slow"]).toBeGreaterThan(0.059);
    trace({ listener: 1 });
    await ask("10.79.1.1");
    expect(values("connections_opened", "listener")).toEqual({ quick: 1 });
    trace();
    expect(manager.status()).toMatchObject({ programs: [], facts: [] });
  });

  it("tells who follows of states, slow responses and resets; and makes no events for nobody", async () => {
    trace({ listener: 0, slowMs: 20 }, { listener: 1 });
    await ask("10.79.1.1");
    const began = manager.traceEvents(-1, 100);
    expect(began).toEqual({ events: [], next: 0 });
    await ask("10.79.1.1");
    const resetting = start("fd00:79:1::1", "wait");
    await until(() => (servers[1]?.connections.size ?? 0) === 1);
    resetting.stdin?.write("reset");
    const seen: TracedEvent[] = [];
    let next = 0;
    await until(() => {
      const found = manager.traceEvents(next, 100);
      seen.push(...(found?.events ?? []));
      next = found?.next ?? 0;
      return seen.some(({ kind }) => kind === "reset") && seen.some(({ kind }) => kind === "slow-response");
    });
    resetting.stdin?.end();
    const slow = seen.filter(({ listener }) => listener === "slow");
    expect(slow.map(({ kind, to }) => to ?? kind).slice(0, 3)).toEqual([
      "syn-received",
      "established",
      "slow-response",
    ]);
    expect(slow[0]).toMatchObject({ local: "10.79.1.1:80", remote: expect.stringMatching(/^10\.79\.1\.2:\d+$/) });
    expect(slow[2]?.us).toBeGreaterThanOrEqual(20_000);
    expect(seen.find(({ kind }) => kind === "reset")).toMatchObject({ listener: "quick", local: "[fd00:79:1::1]:80" });
    expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, i) => i + 1));
    expect(values("resets_received", "listener")).toEqual({ slow: 0, quick: 1 });
    expect(values("events_lost", "listener")).toEqual({ slow: 0, quick: 0 });
  });

  it("does without the time of responses where the kernel is too old for that", () => {
    const tracer = new Tracer(false);
    try {
      tracer.attach();
      const names = tracer.programs.filter(({ linkId }) => linkId > 0).map(({ name }) => name);
      expect(names).toEqual(["trace_state", "trace_retransmit", "trace_reset"]);
    } finally {
      tracer.close();
    }
  });

  it("counts what had to be sent again", async () => {
    trace({ listener: 0 });
    const child = start("10.79.1.1", "wait");
    await until(() => (servers[0]?.connections.size ?? 0) === 1);
    const [{ address }] = JSON.parse(client.ip("-json", "link", "show", "cl0")) as [{ readonly address: string }];
    const send = (to: string): string =>
      gateway.ip("neighbour", "replace", "10.79.1.2", "lladdr", to, "dev", "gw0", "nud", "permanent");
    // Frames for somebody else are left alone by the client: none of them arrives.
    send("02:00:00:00:00:01");
    for (const each of servers[0]?.connections ?? []) each.write("late");
    await until(() => (values("retransmits", "listener")["slow"] ?? 0) > 0);
    send(address);
    const [bytes] = (await once(child.stdout ?? expect.unreachable(), "data")) as [Buffer];
    expect(bytes.toString()).toBe("late");
    child.stdin?.end();
    await once(child, "close");
  });
});
