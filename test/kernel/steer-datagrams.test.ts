/** Datagrams of a cgroup, steered to a listener that tells each client where it wanted to go. On loopback. */
import dgram from "node:dgram";
import { once } from "node:events";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { formatAddress, parseAddress } from "#core/address.ts";
import { KernelManager } from "#bpf/manager/manager.ts";
import { OriginalDestinations } from "#worker/maps/original-destinations.ts";
import { removeLeftoverCgroups, TestCgroup } from "#test/support/cgroup.ts";
import { describeKernel } from "#test/support/kernel.ts";

const CLIENT = path.join(import.meta.dirname, "../support/datagram-many.ts");
const LONG_LEASE_MS = 60_000;

describeKernel("steered datagrams", () => {
  let clients: TestCgroup;
  let manager: KernelManager;
  let sockets: dgram.Socket[] = [];
  let port = 0;

  beforeAll(async () => {
    removeLeftoverCgroups();
    const four = await bound("udp4", 0, "127.0.0.1", (peer) => tell(peer));
    ({ port } = four.address());
    sockets = [four, await bound("udp6", port, "::1", (peer) => tell(peer))];
  });
  afterAll(() => {
    for (const socket of sockets) socket.close();
  });
  beforeEach(() => {
    clients = new TestCgroup("datagrams");
    manager = KernelManager.open();
  });
  afterEach(async () => {
    manager.close();
    await clients.destroy();
  });

  async function bound(type: "udp4" | "udp6", at: number, host: string, answer: (peer: dgram.RemoteInfo) => string) {
    const socket = dgram.createSocket(type);
    socket.on("message", (_, peer) => socket.send(answer(peer), peer.port, peer.address));
    socket.bind(at, host);
    await once(socket, "listening");
    return socket;
  }

  function tell({ address, port: from }: dgram.RemoteInfo): string {
    const originals = new OriginalDestinations(manager.originalsFd() ?? expect.unreachable("nothing is steered"));
    const peer = parseAddress(`${address.includes(":") ? `[${address}]` : address}:${from}`);
    const found = originals.find(peer, "udp");
    expect(originals.find(peer, "tcp")).toBeNull();
    expect(originals.leadsTo(peer, 0, found)).toBe(true);
    expect(originals.leadsTo(peer, 0, parseAddress("198.51.100.7:54"))).toBe(false);
    return found === null ? "not steered" : `original ${formatAddress(found)}`;
  }

  function steer(ports: readonly number[], leaseMs = LONG_LEASE_MS): void {
    const steering = [{ cgroup: clients.directory, ports, listener: 0, leaseMs, protocol: "udp" as const }];
    const listeners = [{ name: "steered", addresses: [`127.0.0.1:${port}`, `[::1]:${port}`] }];
    manager.commit(manager.prepare({ maps: [], kernel: { interfaces: [], steering }, listeners }));
  }

  async function ask(
    how: "connected" | "unconnected",
    to: readonly (readonly [string, number])[],
    parallel = 1,
  ): Promise<string[]> {
    const child = clients.spawn(process.execPath, [CLIENT, String(parallel), how], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    child.stdin?.end(to.map(([host, at]) => `${host} ${at}\n`).join(""));
    await once(child, "close");
    return text.trimEnd().split("\n");
  }

  const answers = (to: readonly (readonly [string, number])[], connected: boolean): string[] =>
    to.map(([host, at]) => {
      const original = `${host.includes(":") ? `[${host}]` : host}:${at}`.replace(
        "[::ffff:198.51.100.9]",
        "198.51.100.9",
      );
      return `original ${original} from ${host} ${at}${connected ? ` peer ${host} ${at}` : ""}`;
    });

  it("reach the listener, which learns where to; answers come from there, for whoever asks", async () => {
    steer([53]);
    const to = [
      ["198.51.100.7", 53],
      ["2001:db8::77", 53],
      ["::ffff:198.51.100.9", 53],
    ] as const;
    expect(await ask("connected", to)).toEqual(answers(to, true));
    expect(await ask("unconnected", to)).toEqual(answers(to, false));
    expect(manager.status()).toMatchObject({
      originals: 0,
      steering: [{ counters: { redirected: 6, unrecorded: 0 } }],
    });
  });

  it("are known each, 600 one after the other and 400 at once, and forgotten", async () => {
    steer([53, 5353]);
    const to = Array.from({ length: 600 }, (_, i): [string, number] =>
      i % 2 === 0 ? [`198.51.${i >> 8}.${i & 255}`, 53] : [`2001:db8::${i.toString(16)}`, 5353],
    );
    expect(await ask("connected", to)).toEqual(answers(to, true));
    expect(await ask("unconnected", to.slice(0, 400), 200)).toEqual(answers(to.slice(0, 400), false));
    expect(manager.status()).toMatchObject({ originals: 0, steering: [{ counters: { redirected: 1000 } }] });
  });

  it("go straight where nobody steers: other ports, a lapsed lease, and connections", async () => {
    const direct = await bound("udp4", 0, "127.0.0.1", () => "direct");
    try {
      const at = direct.address().port;
      steer([at], 300);
      await sleep(350);
      expect(await ask("unconnected", [["127.0.0.1", at]])).toEqual([`direct from 127.0.0.1 ${at}`]);
      manager.renewLeases();
      steer([53]);
      expect(await ask("connected", [["127.0.0.1", at]])).toEqual([`direct from 127.0.0.1 ${at} peer 127.0.0.1 ${at}`]);
    } finally {
      direct.close();
    }
  });

  it("of one socket go to its first destination's listener only: a second destination is reached straight", async () => {
    const direct = await bound("udp4", 0, "127.0.0.1", () => "direct");
    try {
      const at = direct.address().port;
      steer([53, at]);
      const script = `
        const socket = require("node:dgram").createSocket("udp4");
        const said = [];
        socket.on("message", (bytes, { address, port }) => {
          said.push(bytes + " from " + address + " " + port);
          if (said.length === 1) socket.send("2", ${at}, "127.0.0.1");
          else if (said.length === 2) socket.send("3", 53, "198.51.100.7");
          else { console.log(said.join("\\n")); socket.close(); }
        });
        socket.send("1", 53, "198.51.100.7");`;
      const { stdout } = await clients.run(process.execPath, "-e", script);
      expect(stdout.trim().split("\n")).toEqual([
        "original 198.51.100.7:53 from 198.51.100.7 53",
        `direct from 127.0.0.1 ${at}`,
        "original 198.51.100.7:53 from 198.51.100.7 53",
      ]);
      expect(manager.status()).toMatchObject({ originals: 0, steering: [{ counters: { redirected: 1, second: 1 } }] });
    } finally {
      direct.close();
    }
  });
});
