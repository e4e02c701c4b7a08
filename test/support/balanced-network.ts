/**
 * A balancer between a client and two endpoints, each in a namespace of its own:
 *
 *     client 10.77.1.2 ── 10.77.1.1 balancer 10.77.2.1 ── 10.77.2.2 one
 *                                            10.77.3.1 ── 10.77.3.2 two        and fd00:77:N:: likewise
 *
 * The services' addresses, 10.77.9.9 and fd00:77:9::9, stand on the endpoints, which take headers off by XDP.
 */
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import type { ChildProcess } from "node:child_process";
import { inNetworkNamespace } from "#sys/netns.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { attachXdp } from "#bpf/kernel/xdp.ts";
import { readSpec } from "#bpf/spec/read.ts";
import type { L4Answer, L4Command } from "./l4-client.ts";
import { connect, Namespace } from "./netns.ts";

export const VIP4 = "10.77.9.9";
export const VIP6 = "fd00:77:9::9";
/** By name, the addresses of its two families. */
export const ENDPOINTS = {
  one: ["10.77.2.2", "fd00:77:2::2"],
  two: ["10.77.3.2", "fd00:77:3::2"],
} as const;
export type EndpointLabel = keyof typeof ENDPOINTS;
/** Of the balancer; with NAT packets come in by all of them. */
export const DEVICES = ["gw0", "gw1", "gw2"] as const;

export class BalancedNetwork {
  readonly client = new Namespace("client");
  readonly balancer = new Namespace("balancer");
  readonly endpoints: Readonly<Record<EndpointLabel, Namespace>> = {
    one: new Namespace("one"),
    two: new Namespace("two"),
  };
  readonly #decap: Collection;
  readonly #links: { close(): void }[] = [];
  readonly #children: ChildProcess[] = [];

  constructor() {
    this.#wire(1, this.client, "cl0", "gw0");
    this.#wire(2, this.endpoints.one, "ep0", "gw1");
    this.#wire(3, this.endpoints.two, "ep0", "gw2");
    this.balancer.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
    const object = path.join(import.meta.dirname, "bpf/obj/decap.o");
    this.#decap = Collection.load(readSpec(fs.readFileSync(object)));
    this.#decapsulate(this.client, "cl0");
    for (const endpoint of Object.values(this.endpoints)) {
      endpoint.ip("address", "add", `${VIP4}/32`, "dev", "lo");
      endpoint.ip("address", "add", `${VIP6}/128`, "dev", "lo", "nodad");
      endpoint.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.ep0.rp_filter=0");
      this.#decapsulate(endpoint, "ep0");
    }
  }

  /**
   * The client's end has the program too, though there is nothing to take off: only with one does a veth end poll for what
   * its peer sends back by XDP_TX. With GRO alone that lies in the ring until some other packet comes.
   */
  #decapsulate(namespace: Namespace, device: string): void {
    inNetworkNamespace(namespace.path, () => {
      this.#links.push(attachXdp(this.#decap.program("decap"), device, "native").link);
    });
  }

  /** Work in the balancer's namespace; synchronous. */
  inside<T>(work: () => T): T {
    return inNetworkNamespace(this.balancer.path, work);
  }

  /** Servers on every address of an endpoint; they say its label. */
  async serve(label: EndpointLabel, port: number): Promise<ChildProcess> {
    const script = path.join(import.meta.dirname, "l4-echo.ts");
    const child = this.endpoints[label].spawn(
      process.execPath,
      script,
      label,
      `${port}`,
      ...ENDPOINTS[label],
      VIP4,
      VIP6,
    );
    this.#children.push(child);
    child.stderr?.pipe(process.stderr);
    if (child.stdout !== null) await once(child.stdout, "data");
    return child;
  }

  clients(): Clients {
    const child = this.client.spawnWithInput(process.execPath, path.join(import.meta.dirname, "l4-client.ts"));
    this.#children.push(child);
    return new Clients(child);
  }

  destroy(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    for (const link of this.#links) link.close();
    this.#decap.close();
    for (const each of [this.client, this.balancer, ...Object.values(this.endpoints)]) each.destroy();
  }

  /** `far` is .2 of its network, the balancer .1, by which everything else is reached. */
  #wire(network: number, far: Namespace, device: string, gateway: string): void {
    const addresses = (host: number): string[] => [`10.77.${network}.${host}/24`, `fd00:77:${network}::${host}/64`];
    connect(far, { device, addresses: addresses(2) }, this.balancer, { device: gateway, addresses: addresses(1) });
    far.ip("route", "add", "default", "via", `10.77.${network}.1`);
    far.ip("-6", "route", "add", "default", "via", `fd00:77:${network}::1`);
  }
}

/** Many connections and sockets in one process. */
export class Clients {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (text: string) => void>();
  #last = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.pipe(process.stderr);
    if (child.stdout === null) throw new Error("the client's output is not piped");
    createInterface({ input: child.stdout }).on("line", (line) => {
      const { id, text } = JSON.parse(line) as L4Answer;
      this.#waiting.get(id)?.(text);
      this.#waiting.delete(id);
    });
  }

  /** See l4-client.ts. */
  ask(command: Omit<L4Command, "id">): Promise<string> {
    const id = ++this.#last;
    const answer = new Promise<string>((resolve) => this.#waiting.set(id, resolve));
    this.#child.stdin?.write(`${JSON.stringify({ id, ...command })}\n`);
    return answer;
  }
}
