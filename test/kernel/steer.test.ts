import { execFile } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { cgroupOf } from "#sys/cgroup.ts";
import { KernelManager } from "#bpf/manager/manager.ts";
import { OriginalDestinations } from "#worker/maps/original-destinations.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { removeLeftoverCgroups, TestCgroup } from "#test/support/cgroup.ts";
import { Namespace, removeLeftovers } from "#test/support/netns.ts";
import { ask, serve, tellOriginal, type Server } from "#test/support/steering.ts";

const CONNECT_MARKED = path.join(import.meta.dirname, "../support/connect-marked.ts");
const CONNECT_TWICE = path.join(import.meta.dirname, "../support/connect-twice.ts");
const ASK_ORIGINAL = path.join(import.meta.dirname, "../support/ask-original.ts");
/** Longer than any test runs on a busy machine: nobody renews it. */
const LONG_LEASE_MS = 60_000;
const STEERED_PORTS = [80, 8080];

describeKernel("steer", () => {
  let clients: TestCgroup;
  let manager: KernelManager;
  let listener: Server;
  let direct: Server;

  beforeAll(async () => {
    removeLeftoverCgroups();
    listener = await serve(tellOriginal(() => new OriginalDestinations(manager.originalsFd() ?? fail())));
    direct = await serve(() => "direct");
  });
  afterAll(async () => {
    await listener.close();
    await direct.close();
  });
  beforeEach(() => {
    clients = new TestCgroup("clients");
    manager = KernelManager.open();
  });
  afterEach(async () => {
    manager.close();
    await clients.destroy();
  });

  function steer(ports: readonly number[] = STEERED_PORTS, leaseMs = LONG_LEASE_MS, cgroup = clients.directory): void {
    const steering = [{ cgroup, ports, listener: 0, leaseMs }];
    const listeners = [{ name: "steered", addresses: [`127.0.0.1:${listener.port}`, `[::1]:${listener.port}`] }];
    manager.commit(manager.prepare({ maps: [], kernel: { interfaces: [], steering }, listeners }));
  }

  it("takes IPv4, IPv6 and mapped IPv4 to the listener, which learns the destination", async () => {
    steer();
    expect(
      await ask(clients, [
        ["198.51.100.7", 80],
        ["2001:db8::77", 8080],
        ["::ffff:198.51.100.9", 80],
      ]),
    ).toEqual(["original 198.51.100.7:80", "original [2001:db8::77]:8080", "original 198.51.100.9:80"]);
  });

  it("leaves other ports, other cgroups and connections to the listener itself alone", async () => {
    steer([80, direct.port, listener.port]);
    const others = new TestCgroup("others");
    try {
      expect(await ask(others, [["127.0.0.1", direct.port]])).toEqual(["direct"]);
      expect(
        await ask(clients, [
          ["127.0.0.1", listener.port],
          ["::1", listener.port],
        ]),
      ).toEqual(["not steered", "not steered"]);
      steer([80]);
      expect(await ask(clients, [["127.0.0.1", direct.port]])).toEqual(["direct"]);
    } finally {
      await others.destroy();
    }
  });

  it("serves an unmodified curl", async () => {
    steer();
    const { stdout } = await clients.run("curl", "-s", "-m", "3", "--http0.9", "http://198.51.100.10/");
    expect(stdout).toBe("original 198.51.100.10:80");
    const v6 = await clients.run("curl", "-s", "-m", "3", "--http0.9", "-g", "http://[2001:db8::10]:8080/");
    expect(v6.stdout).toBe("original [2001:db8::10]:8080");
  });

  it("knows each of 2000 sequential and 1000 parallel connections, and forgets them", async () => {
    steer();
    const destinations = Array.from({ length: 2000 }, (_, i): [string, number] =>
      i % 2 === 0 ? [`198.51.${i >> 8}.${i & 255}`, 80] : [`2001:db8::${i.toString(16)}`, 8080],
    );
    const expected = destinations.map(([host, port]) => `original ${host.includes(":") ? `[${host}]` : host}:${port}`);
    expect(await ask(clients, destinations)).toEqual(expected);
    expect(await ask(clients, destinations.slice(0, 1000), 100)).toEqual(expected.slice(0, 1000));
    // The gateway closed first, so its side is in TIME_WAIT and the client's is closed.
    expect(manager.status()).toMatchObject({
      originals: 0,
      steering: [{ counters: { redirected: 3000, unrecorded: 0 } }],
    });
  });

  it("forgets connections that never came about", async () => {
    const closed = await serve(() => "");
    await closed.close();
    const steering = [{ cgroup: clients.directory, ports: [80], listener: 0, leaseMs: LONG_LEASE_MS }];
    const listeners = [{ name: "dead", addresses: [`127.0.0.1:${closed.port}`] }];
    manager.commit(manager.prepare({ maps: [], kernel: { interfaces: [], steering }, listeners }));
    expect(await ask(clients, [["198.51.100.7", 80]])).toEqual(["error ECONNREFUSED"]);
    expect(manager.status()).toMatchObject({ originals: 0, steering: [{ counters: { redirected: 1 } }] });
  });

  it("tells a client that asks for its peer whom it takes for that", async () => {
    steer();
    const script = (host: string): string => `
      const socket = require("node:net").connect(80, "${host}", () => {
        console.log(socket.remoteAddress, socket.remotePort);
        socket.destroy();
      });`;
    for (const host of ["198.51.100.7", "2001:db8::7"]) {
      const { stdout } = await clients.run(process.execPath, "-e", script(host));
      expect(stdout).toBe(`${host} 80\n`);
    }
  });

  it("is undone when it was on trial and nobody confirmed it in time; confirmed, it stays", async () => {
    const to: readonly (readonly [string, number])[] = [["127.0.0.1", direct.port]];
    const declare = (trial: { readonly confirmMs?: number }): void => {
      const entry = { cgroup: clients.directory, ports: [direct.port], listener: 0, leaseMs: LONG_LEASE_MS, ...trial };
      const listeners = [{ name: "steered", addresses: [`127.0.0.1:${listener.port}`] }];
      manager.commit(manager.prepare({ maps: [], kernel: { interfaces: [], steering: [entry] }, listeners }));
    };
    declare({ confirmMs: 30_000 });
    expect(manager.status().facts).toEqual([expect.stringMatching(/to be confirmed within 30 s, lease (2|3)\d{4} ms/)]);
    expect(await ask(clients, to)).toEqual([`original 127.0.0.1:${direct.port}`]);
    const [, programs] = [declare({}), manager.status().steering[0]?.programs];
    expect(manager.status().steering).toMatchObject([{ trialRemainingMs: null, leaseMs: LONG_LEASE_MS }]);
    declare({ confirmMs: 1 });
    await sleep(10);
    manager.renewLeases();
    expect(await ask(clients, to)).toEqual(["direct"]);
    expect(manager.status().facts).toEqual([expect.stringContaining("not confirmed in time, lease lapsed")]);
    // A change of something else is no second trial.
    declare({ confirmMs: 1 });
    expect(await ask(clients, to)).toEqual(["direct"]);
    declare({});
    expect(await ask(clients, to)).toEqual([`original 127.0.0.1:${direct.port}`]);
    expect(manager.status().steering).toMatchObject([{ programs }]);
  });

  it("leaves a family alone that the listener does not serve", async () => {
    const steering = [{ cgroup: clients.directory, ports: [direct.port], listener: 0, leaseMs: LONG_LEASE_MS }];
    const listeners = [{ name: "four", addresses: [`127.0.0.1:${listener.port}`] }];
    manager.commit(manager.prepare({ maps: [], kernel: { interfaces: [], steering }, listeners }));
    expect(
      await ask(clients, [
        ["::1", direct.port],
        ["127.0.0.1", direct.port],
      ]),
    ).toEqual(["direct", `original 127.0.0.1:${direct.port}`]);
  });

  it("lets connections go straight once the lease has lapsed, and steers again when it is renewed", async () => {
    steer([direct.port], 300);
    const to: readonly (readonly [string, number])[] = [["127.0.0.1", direct.port]];
    manager.renewLeases();
    await sleep(350);
    expect(await ask(clients, to)).toEqual(["direct"]);
    expect(manager.status().steering[0]).toMatchObject({ leaseRemainingMs: 0, counters: { leaseExpired: 1 } });
    const renewing = setInterval(() => manager.renewLeases(), 100);
    manager.renewLeases();
    try {
      expect(await ask(clients, to)).toEqual([`original 127.0.0.1:${direct.port}`]);
    } finally {
      clearInterval(renewing);
    }
  });

  it("never steers the gateway's own cgroup, even below a steered one", async () => {
    const gateway = new TestCgroup("gateway", clients.directory);
    manager.close();
    manager = KernelManager.open({ gatewayCgroup: gateway.directory });
    try {
      steer([direct.port]);
      const to: readonly (readonly [string, number])[] = [["127.0.0.1", direct.port]];
      expect(await ask(gateway, to)).toEqual(["direct"]);
      const below = new TestCgroup("worker", gateway.directory);
      expect(await ask(below, to)).toEqual(["direct"]);
      await below.destroy();
      expect(await ask(clients, to)).toEqual([`original 127.0.0.1:${direct.port}`]);
      expect(() => steer([80], LONG_LEASE_MS, gateway.directory)).toThrow(/is the gateway's own/);
    } finally {
      await gateway.destroy();
    }
  });

  it("steers clients below the gateway's cgroup, and refuses the very cgroup it is in", async () => {
    manager.close();
    manager = KernelManager.open({ gatewayCgroup: clients.directory });
    const below = new TestCgroup("below", clients.directory);
    try {
      steer([80], LONG_LEASE_MS, below.directory);
      expect(await ask(below, [["198.51.100.7", 80]])).toEqual(["original 198.51.100.7:80"]);
    } finally {
      await below.destroy();
    }
    manager.close();
    manager = KernelManager.open();
    expect(() => steer([80], LONG_LEASE_MS, cgroupOf() ?? fail())).toThrow(/is the gateway's own/);
  });

  it("reaches a listener on every address by loopback, and leaves connections to it alone", async () => {
    const steering = [{ cgroup: clients.directory, ports: [80, listener.port], listener: 0, leaseMs: LONG_LEASE_MS }];
    const listeners = [{ name: "any", addresses: [`0.0.0.0:${listener.port}`, `[::]:${listener.port}`] }];
    manager.commit(manager.prepare({ maps: [], kernel: { interfaces: [], steering }, listeners }));
    expect(
      await ask(clients, [
        ["198.51.100.7", 80],
        ["2001:db8::7", 80],
        ["127.0.0.1", listener.port],
      ]),
    ).toEqual(["original 198.51.100.7:80", "original [2001:db8::7]:80", "not steered"]);
  });

  it("leaves other network namespaces alone: their loopback is another one", async () => {
    removeLeftovers();
    steer([80]);
    const namespace = new Namespace("elsewhere");
    try {
      const url = "http://127.0.0.1/";
      const there = await clients.run("nsenter", `--net=${namespace.path}`, "curl", "-s", "-m", "3", "--http0.9", url);
      // 7: nobody listens there.
      expect(there).toEqual({ code: 7, stdout: "" });
      expect(manager.status().steering[0]?.counters.redirected).toBe(0);
      expect((await clients.run("curl", "-s", "-m", "3", "--http0.9", url)).stdout).toBe("original 127.0.0.1:80");
    } finally {
      namespace.destroy();
    }
  });

  it("leaves sockets alone that are bound to a device, or marked as exempt", async () => {
    manager.close();
    manager = KernelManager.open({ exemptMark: 77 });
    steer([direct.port]);
    const url = `http://127.0.0.1:${direct.port}/`;
    expect((await clients.run("curl", "-s", "-m", "3", "--http0.9", "--interface", "lo", url)).stdout).toBe("direct");
    const marked = (mark: string) => clients.run(process.execPath, CONNECT_MARKED, mark, `127.0.0.1:${direct.port}`);
    expect((await marked("77")).stdout).toBe("direct");
    expect((await marked("78")).stdout).toBe(`original 127.0.0.1:${direct.port}`);
    expect(manager.status().steering[0]?.counters).toMatchObject({ exempt: 1, redirected: 1 });
  });

  it("does not take what a failed connect noted for the next one's", async () => {
    const closed = await serve(() => "");
    await closed.close();
    const steering = [{ cgroup: clients.directory, ports: [80], listener: 0, leaseMs: LONG_LEASE_MS }];
    const listeners = [{ name: "dead", addresses: [`127.0.0.1:${closed.port}`] }];
    manager.commit(manager.prepare({ maps: [], kernel: { interfaces: [], steering }, listeners }));
    // Refused by the dead listener first; then the same socket goes to the live one, by itself.
    const { stdout } = await clients.run(
      process.execPath,
      CONNECT_TWICE,
      "198.51.100.7:80",
      `127.0.0.1:${listener.port}`,
    );
    expect(stdout).toBe("not steered");
  });

  it("lets the inner of two entries win, and changes ports and listener without a gap", async () => {
    const inner = new TestCgroup("inner", clients.directory);
    const second = await serve(tellOriginal(() => new OriginalDestinations(manager.originalsFd() ?? fail())));
    try {
      const listeners = [listener, second].map((each, i) => ({ name: `l${i}`, addresses: [`127.0.0.1:${each.port}`] }));
      const entry = (cgroup: string, index: number) => ({
        cgroup,
        ports: [80, second.port, listener.port],
        listener: index,
        leaseMs: LONG_LEASE_MS,
      });
      const steering = [entry(clients.directory, 0), entry(inner.directory, 1)];
      manager.commit(manager.prepare({ maps: [], kernel: { interfaces: [], steering }, listeners }));
      const before = [listener.accepted(), second.accepted()];
      expect(await ask(inner, [["198.51.100.7", 80]])).toEqual(["original 198.51.100.7:80"]);
      expect([listener.accepted(), second.accepted()]).toEqual([before[0], (before[1] as number) + 1]);

      const links = manager.status().steering[0]?.programs.map((each) => each.linkId);
      const running = ask(
        clients,
        Array.from({ length: 500 }, () => ["198.51.100.7", 80] as const),
      );
      for (let i = 0; i < 20; i++) {
        manager.commit(
          manager.prepare({
            maps: [],
            kernel: { interfaces: [], steering: [{ ...entry(clients.directory, 0), ports: [80, 1000 + i] }] },
            listeners,
          }),
        );
        await sleep(10);
      }
      expect(new Set(await running)).toEqual(new Set(["original 198.51.100.7:80"]));
      expect(manager.status().steering[0]?.programs.map((each) => each.linkId)).toEqual(links);
    } finally {
      await second.close();
      await inner.destroy();
    }
  });

  it("answers SO_ORIGINAL_DST to programs of a chosen cgroup", async () => {
    const third = new TestCgroup("third");
    manager.close();
    manager = KernelManager.open({ originalDestinationCgroup: third.directory });
    const families = [
      ["127.0.0.1:0", "127.0.0.1", "198.51.100.7", "198.51.100.7:80"],
      ["[::1]:0", "[::1]", "2001:db8::7", "[2001:db8::7]:80"],
    ] as const;
    try {
      for (const [bound, host, destination, original] of families) {
        const program = third.spawn(process.execPath, [ASK_ORIGINAL, bound], { stdio: ["ignore", "pipe", "inherit"] });
        const lines = createInterface({ input: program.stdout ?? fail() })[Symbol.asyncIterator]();
        const line = async (): Promise<string> => String((await lines.next()).value);
        const steering = [{ cgroup: clients.directory, ports: [80], listener: 0, leaseMs: LONG_LEASE_MS }];
        const listeners = [{ name: "third", addresses: [`${host}:${await line()}`] }];
        manager.commit(manager.prepare({ maps: [], kernel: { interfaces: [], steering }, listeners }));
        await ask(clients, [[destination, 80]]);
        expect(await line()).toBe(original);
        program.kill("SIGKILL");
      }
    } finally {
      await third.destroy();
    }
  });

  it("lets go when its process is killed", async () => {
    const script = `
      import { cgroupOf } from "#sys/cgroup.ts";
import { KernelManager } from "#bpf/manager/manager.ts";
      const manager = KernelManager.open();
      const steering = [{ cgroup: ${JSON.stringify(clients.directory)}, ports: [${direct.port}], listener: 0, leaseMs: 60000 }];
      const listeners = [{ name: "l", addresses: ["127.0.0.1:${listener.port}"] }];
      manager.commit(manager.prepare({ maps: [], kernel: { interfaces: [], steering }, listeners }));
      process.kill(process.pid, "SIGKILL");`;
    const run = promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
    await expect(run).rejects.toMatchObject({ signal: "SIGKILL" });
    expect(await ask(clients, [["127.0.0.1", direct.port]])).toEqual(["direct"]);
  });
});

function fail(): never {
  throw new Error("not there");
}
