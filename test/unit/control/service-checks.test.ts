import dgram from "node:dgram";
import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { probe } from "#control/health/probes.ts";
import { ServiceChecks, type Verdict } from "#control/health/service-checks.ts";
import type { ServiceCheckSpec, ServiceSpec } from "#snapshot/kernel.ts";

const CHECK: ServiceCheckSpec = {
  type: "tcp",
  path: "/",
  intervalMs: 1000,
  timeoutMs: 100,
  healthyThreshold: 2,
  unhealthyThreshold: 3,
};

function service(change: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    name: "dns",
    address: "10.0.0.10",
    port: 53,
    protocol: "udp",
    mode: "dsr",
    devices: ["eth0"],
    flowTimeoutMs: 30_000,
    endpoints: [{ address: "10.0.0.1", port: 53, weight: 1, drain: false }],
    healthCheck: CHECK,
    ...change,
  };
}

describe("checks of a service", () => {
  const answers: boolean[] = [];
  const asked: string[] = [];
  let told: Verdict[] = [];
  let checks: ServiceChecks;

  beforeEach(() => {
    vi.useFakeTimers();
    told = [];
    asked.length = 0;
    answers.length = 0;
    checks = new ServiceChecks(
      (verdict) => told.push(verdict),
      (_, { address, port }) => {
        asked.push(`${address} ${port}`);
        return Promise.resolve(answers.shift() ?? true);
      },
    );
  });
  afterEach(() => {
    checks.stop();
    vi.useRealTimers();
  });

  const seconds = (count: number): Promise<unknown> => vi.advanceTimersByTimeAsync(count * 1000);
  const verdicts = (): boolean[] => told.map(({ healthy }) => healthy);

  it.each([
    ["one good answer at first", [true], [true]],
    ["bad ones, less than enough", [false, false], []],
    ["enough bad ones", [false, false, false], [false]],
    ["bad ones with a good one between", [true, false, false, true, false, false, true], [true]],
    ["back after two good ones", [false, false, false, true, false, true, true], [false, true]],
    ["good, then gone", [true, false, false, false, false], [true, false]],
  ])("%s", async (_, given, expected) => {
    answers.push(...given);
    checks.follow([service()]);
    await seconds(given.length - 1);
    expect(verdicts()).toEqual(expected);
  });

  it("names whom it speaks of", async () => {
    checks.follow([
      service({
        endpoints: [{ address: "fd00::1", port: 53, weight: 1, drain: false }],
        healthCheck: { ...CHECK, port: 8080 },
      }),
    ]);
    await seconds(0);
    expect(told).toEqual([{ service: "dns", endpoint: "[fd00::1]:53", healthy: true }]);
    expect(asked).toEqual(["fd00::1 8080"]);
  });

  it("goes on where nothing changed, stops where a check is gone, begins anew where it changed", async () => {
    checks.follow([service()]);
    await seconds(0);
    checks.follow([service()]);
    await seconds(0);
    expect(asked).toHaveLength(1);
    checks.follow([service({ healthCheck: { ...CHECK, timeoutMs: 200 } })]);
    await seconds(0);
    expect(asked).toHaveLength(2);
    checks.follow([]);
    await seconds(10);
    expect(asked).toHaveLength(2);
  });
});

describe("probes", () => {
  const open: { close(): unknown }[] = [];
  afterEach(() => {
    for (const each of open.splice(0)) each.close();
  });
  const at = (server: { address(): unknown }) => ({
    address: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
  });
  const ask = (type: ServiceCheckSpec["type"], target: ReturnType<typeof at>) =>
    probe({ type, path: "/healthz", timeoutMs: 150 }, target);

  async function gone(): Promise<ReturnType<typeof at>> {
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const target = at(server);
    server.close();
    await once(server, "close");
    return target;
  }

  it("tcp: who accepts is there", async () => {
    const server = net.createServer().listen(0, "127.0.0.1");
    open.push(server);
    await once(server, "listening");
    expect(await ask("tcp", at(server))).toBe(true);
    expect(await ask("tcp", await gone())).toBe(false);
  });

  it.each([
    [200, true],
    [302, true],
    [404, false],
    [503, false],
  ])("http: %i is %s", async (status, healthy) => {
    const server = http.createServer((request, response) => {
      response.writeHead(request.url === "/healthz" ? status : 500).end();
    });
    open.push(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    expect(await ask("http", at(server))).toBe(healthy);
  });

  it("http: who accepts and is silent, or answers something else, is not well", async () => {
    for (const words of ["", "SSH-2.0-OpenSSH_9.2\r\n"]) {
      const server = net
        .createServer((socket) => socket.on("error", () => undefined).write(words))
        .listen(0, "127.0.0.1");
      open.push(server);
      await once(server, "listening");
      expect(await ask("http", at(server))).toBe(false);
    }
    expect(await ask("http", await gone())).toBe(false);
  });

  it("udp: silence is health, a closed port is not", async () => {
    const socket = dgram.createSocket("udp4").bind(0, "127.0.0.1");
    open.push(socket);
    await once(socket, "listening");
    expect(await ask("udp", at(socket))).toBe(true);
    const other = dgram.createSocket("udp4").bind(0, "127.0.0.1");
    await once(other, "listening");
    const target = at(other);
    other.close();
    await once(other, "close");
    expect(await ask("udp", target)).toBe(false);
  });
});
