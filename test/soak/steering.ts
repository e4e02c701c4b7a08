/**
 * Clients of a cgroup whose connections and datagrams are steered, each to a destination of its own: the listener has to learn it
 * of every one, and nobody may be remembered when all are closed.
 */
import dgram from "node:dgram";
import { once } from "node:events";
import path from "node:path";
import { formatAddress, parseAddress } from "#core/address.ts";
import { KernelManager } from "#bpf/manager/manager.ts";
import { removeLeftoverCgroups, TestCgroup } from "#test/support/cgroup.ts";
import { serve, tellOriginal } from "#test/support/steering.ts";
import { OriginalDestinations } from "#worker/maps/original-destinations.ts";

export interface Steered {
  /** That were steered, by protocol. */
  readonly tcp: number;
  readonly udp: number;
  /** What went wrong, each with what was expected. */
  readonly wrong: readonly string[];
  /** Records in the kernel when all was closed. */
  readonly left: number;
}

const CLIENTS = { tcp: "connect-many.ts", udp: "datagram-many.ts" } as const;
type Protocol = keyof typeof CLIENTS;

const PORTS = [80, 8080];
const LEASE_MS = 600_000;

/** So many one after the other, and so many at once, over each protocol and both families. */
export async function steering(sequential: number, parallel: number): Promise<Steered> {
  removeLeftoverCgroups();
  const clients = new TestCgroup("steered");
  const manager = KernelManager.open();
  let originals: OriginalDestinations | undefined;
  const known = (): OriginalDestinations => {
    const fd = manager.originalsFd();
    if (fd === undefined) throw new Error("nothing is steered");
    return (originals ??= new OriginalDestinations(fd));
  };
  const listener = await serve(tellOriginal(known));
  const datagrams = await Promise.all(
    (["udp4", "udp6"] as const).map((type) => answerDatagrams(type, listener.port, known)),
  );
  try {
    const entry = { cgroup: clients.directory, ports: PORTS, listener: 0, leaseMs: LEASE_MS };
    const addresses = [`127.0.0.1:${listener.port}`, `[::1]:${listener.port}`];
    const kernel = { interfaces: [], steering: [entry, { ...entry, listener: 1, protocol: "udp" as const }] };
    const listeners = ["tcp", "udp"].map((name) => ({ name, addresses }));
    manager.commit(manager.prepare({ maps: [], kernel, listeners }));
    manager.renewLeases();
    const wrong: string[] = [];
    for (const protocol of ["tcp", "udp"] as const) {
      wrong.push(
        ...(await reach(clients, protocol, sequential, 1)),
        ...(await reach(clients, protocol, parallel, parallel)),
      );
    }
    const status = manager.status();
    const [tcp = 0, udp = 0] = status.steering.map(({ counters }) => counters.redirected);
    return { tcp, udp, wrong, left: status.originals ?? Number.NaN };
  } finally {
    for (const socket of datagrams) socket.close();
    await listener.close();
    manager.close();
    await clients.destroy();
  }
}

async function answerDatagrams(
  type: "udp4" | "udp6",
  port: number,
  known: () => OriginalDestinations,
): Promise<dgram.Socket> {
  const socket = dgram.createSocket({ type, recvBufferSize: 1 << 20 });
  socket.on("message", (_, { address, port: from }) => {
    const found = known().find(parseAddress(type === "udp4" ? `${address}:${from}` : `[${address}]:${from}`), "udp");
    socket.send(found === null ? "not steered" : `original ${formatAddress(found)}`, from, address);
  });
  socket.bind(port, type === "udp4" ? "127.0.0.1" : "::1");
  await once(socket, "listening");
  return socket;
}

/** What did not get to where it wanted. */
async function reach(clients: TestCgroup, protocol: Protocol, count: number, parallel: number): Promise<string[]> {
  const to = Array.from({ length: count }, (_, i) =>
    i % 2 === 0 ? [`198.51.${i >> 8}.${i & 255}`, PORTS[0]] : [`2001:db8::${i.toString(16)}`, PORTS[1]],
  );
  const script = path.join(import.meta.dirname, "../support", CLIENTS[protocol]);
  const child = clients.spawn(process.execPath, [script, String(parallel)], { stdio: ["pipe", "pipe", "inherit"] });
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  child.stdin?.end(to.map(([host, port]) => `${host} ${port}\n`).join(""));
  await once(child, "close");
  const said = text.trimEnd().split("\n");
  return to.flatMap(([host, port], i) => {
    const original = `original ${String(host).includes(":") ? `[${host}]` : host}:${port}`;
    const expected = protocol === "tcp" ? original : `${original} from ${host} ${port}`;
    return said[i] === expected ? [] : [`${protocol} ${expected}: ${said[i]}`];
  });
}
