/**
 * connect(2) of a steered process against one that is not: the same listener, in turns, from one process in a cgroup. A
 * connect over a loopback comes back when the handshake is done.
 */
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import path from "node:path";
import { KernelManager } from "#bpf/manager/manager.ts";
import { removeLeftoverCgroups, TestCgroup } from "#test/support/cgroup.ts";

const TIMER = path.join(import.meta.dirname, "connect-timer.ts");
const LEASE_MS = 60_000;
const PORT = 80;

export interface SteeredConnect {
  /** Medians, microseconds. */
  readonly steeredUs: number;
  readonly directUs: number;
}

export async function steeredConnect(): Promise<SteeredConnect> {
  removeLeftoverCgroups();
  const cgroup = new TestCgroup("bench");
  const manager = KernelManager.open();
  const server = net.createServer((socket) => socket.on("error", () => undefined).destroy());
  try {
    server.listen(0, "127.0.0.1", 4096);
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const steering = [{ cgroup: cgroup.directory, ports: [PORT], listener: 0, leaseMs: LEASE_MS }];
    const listeners = [{ name: "bench", addresses: [`127.0.0.1:${port}`] }];
    manager.commit(manager.prepare({ maps: [], kernel: { interfaces: [], steering }, listeners }));
    manager.renewLeases();
    const child = cgroup.spawn(process.execPath, [TIMER, `127.0.0.1:${port}`, `198.51.100.7:${PORT}`], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    await once(child, "close");
    const [directUs = Number.NaN, steeredUs = Number.NaN] = text.trim().split(" ").map(Number);
    return { steeredUs, directUs };
  } finally {
    server.close();
    manager.close();
    await cgroup.destroy();
  }
}
